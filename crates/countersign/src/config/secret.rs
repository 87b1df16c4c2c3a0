//! A file that holds one secret: a key, or the URL of a database.

use std::{fs, path::Path};

use countersign_types::secret::Secret;

use crate::{
    failure::{CommandResult, Failure},
    file_kind::{Kind, Wanted, unreadable},
    files::shell_quoted,
};

/// Reads a secret from a file: its first line, without the line's end.
pub(crate) fn secret_file(path: &Path) -> CommandResult<Secret> {
    let shown = path.display().to_string();
    // The key itself where its file was wanted: it is in the shell's history now, and goes nowhere else.
    if shown.starts_with("sk-") && !path.exists() {
        return Err(Failure::usage(
            "a file that holds the key was wanted, and what was given looks like the key itself",
        )
        .hint("put it in a file: `(umask 077; cat > admin.key)`, paste it, end with Ctrl-D"));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error).with_exit(2))?;
    let kind = Kind::of(&bytes);
    let file = shell_quoted(&shown);
    let refused =
        |what: &str, hint: String| Err(Failure::usage(format_args!("`{shown}` {what}")).hint(hint));
    match &kind {
        Kind::Empty => refused(
            "is empty, so there is no secret in it",
            "an earlier command may have failed before it had one; a key is made with `--key-file FILE` for where it goes".to_owned(),
        ),
        Kind::Json => refused(
            "is JSON, not a key alone",
            format!("take the key out: `grep -o 'sk-[a-z0-9-]*' {file} > {file}.key`"),
        ),
        Kind::Pem(_) => refused(
            "is PEM, not an API key",
            "an API key is one line that begins with `sk-`".to_owned(),
        ),
        kind if !kind.is(Wanted::Text) => Err(kind.instead_of(Wanted::Text, path).with_exit(2)),
        _ => {
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_start_matches('\u{feff}').trim_start();
            let line = text.lines().next().unwrap_or_default().trim();
            if line.starts_with("export ") || line.starts_with("OPENAI_ADMIN_KEY=") {
                return refused(
                    "is a file for a shell, not a key alone",
                    format!("read it into the shell: `. {file}`"),
                );
            }
            Ok(Secret::new(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_alone_is_told_apart_and_never_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        for (content, says) in [
            ("", "is empty"),
            ("\n \n", "is empty"),
            ("{\"value\": \"sk-admin-secret\"}", "is JSON"),
            (
                "export OPENAI_ADMIN_KEY=sk-admin-secret",
                "file for a shell",
            ),
            ("-----BEGIN CERTIFICATE-----\n", "is PEM"),
        ] {
            fs::write(&path, content).unwrap();
            let error = secret_file(&path).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert!(!error.to_string().contains("secret\""), "{error}");
            assert_eq!(error.exit(), 2);
        }
        let error = secret_file(Path::new("sk-admin-secret")).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        fs::write(&path, "\u{feff}sk-admin-a\r\nmore\n").unwrap();
        assert_eq!(secret_file(&path).unwrap().reveal(), "sk-admin-a");
    }
}
