//! The gateway's configuration file: read, and what is said of its mistakes.

use std::{fs, path::Path};

use countersign_gateway::options::GatewayOptions;

use crate::{
    failure::{CommandResult, Failure},
    file_kind::unreadable,
    likely::likely,
};

/// Where every setting is described.
const REFERENCE: &str = "docs/gateway-settings.md describes every setting";

/// A gateway's configuration, as it is used and as it stands in the file.
pub(crate) struct Configured {
    pub(crate) options: GatewayOptions,
    pub(crate) given: toml::Table,
}

impl Configured {
    /// Reads the file; a mistake is named with its line.
    pub(crate) fn read(path: &Path) -> CommandResult<Self> {
        let text = text(path)?;
        let wrong = |error| mistake(path, &text, &error);
        Ok(Self {
            options: toml::from_str(&text).map_err(wrong)?,
            given: toml::from_str(&text).map_err(wrong)?,
        })
    }
}

fn text(path: &Path) -> CommandResult<String> {
    fs::read_to_string(path).map_err(|error| {
        let failure = unreadable(path, &error).with_exit(2);
        let asked =
            "give the gateway's configuration file with `--config`; docs/gateway.md shows one";
        match failure.advice() {
            Some(advice) if advice.ends_with(".toml`?") => failure,
            _ => failure.hint(asked),
        }
    })
}

fn mistake(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let shown = path.display();
    let message = error.message().trim();
    let line = error.span().map(|span| line_of(text, span.start));
    let place = line.map_or_else(|| shown.to_string(), |line| format!("{shown}:{line}"));
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let unknown = quoted.next().unwrap_or_default();
        let failure = Failure::usage(format_args!("{place}: unknown setting `{unknown}`"));
        return match likely(unknown, quoted) {
            Some(known) => failure.hint(format!("did you mean `{known}`?")),
            None => failure.hint(REFERENCE),
        };
    }
    if message.starts_with("missing field") {
        let missing = quoted.next().unwrap_or_default();
        // The span is that of the whole table, which says nothing.
        return Failure::usage(format_args!("{shown}: the setting `{missing}` is missing"))
            .hint(REFERENCE);
    }
    let failure = Failure::usage(format_args!("{place}: {message}"));
    if message.contains("socket address") {
        return failure.hint("write an IP address and a port, such as `0.0.0.0:8443`");
    }
    failure.hint(REFERENCE)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_example_can_be_read() {
        let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/debian");
        Configured::read(&packaging.join("gateway.toml.example")).unwrap();
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_what_was_meant() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.toml");
        let minimal = "listen = \"127.0.0.1:0\"\ncertificate = \"a\"\nprivate_key = \"b\"\n\
             control_plane = \"http://127.0.0.1:1/v1\"\nkey_file = \"c\"\ndata_dir = \"d\"\n\
             routes = [{ upstream = \"http://127.0.0.1:2\" }]\n";
        let wrong = |text: &str| {
            fs::write(&path, text).unwrap();
            Configured::read(&path).err().unwrap().to_string()
        };
        fs::write(&path, minimal).unwrap();
        assert!(Configured::read(&path).is_ok());
        for (text, says) in [
            (
                format!("{minimal}lisen = 1\n"),
                "toml:8: unknown setting `lisen`\nhint: did you mean `listen`?",
            ),
            (
                format!("{minimal}[limits]\nconections = 1\n"),
                "toml:9: unknown setting `conections`\nhint: did you mean `connections`?",
            ),
            (
                minimal.replace("listen = \"127.0.0.1:0\"\n", ""),
                "toml: the setting `listen` is missing\nhint: docs",
            ),
            (
                minimal.replace("127.0.0.1:0", "localhost:0"),
                "toml:1: invalid socket address syntax\nhint: write an IP",
            ),
            ("listen = \n".to_owned(), "toml:1: "),
        ] {
            let error = wrong(&text);
            assert!(error.contains(says), "{error}");
        }
        assert!(
            Configured::read(&directory.path().join("gatewy.toml"))
                .err()
                .unwrap()
                .to_string()
                .contains("did you mean")
        );
    }
}
