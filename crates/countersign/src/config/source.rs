//! The sources of a setting's value: flags override the environment, the environment the file, the
//! file the defaults.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::schema::{Kind, SETTINGS, Setting};
use crate::{
    failure::{CommandResult, Failure},
    file_kind,
    likely::likely,
};

/// Where a value was given, from the weakest source to the strongest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// No source gave a value.
    Default,
    /// A line of the file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// A flag of the command.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "{name}"),
            Self::Flag => write!(f, "flag"),
        }
    }
}

/// A value and where it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) value: String,
    pub(crate) source: Source,
}

/// Values by the keys of the settings.
pub(crate) type Layer = BTreeMap<&'static str, Given>;

/// The defaults.
pub(crate) fn defaults() -> Layer {
    let with_default = |setting: &Setting| setting.default.map(|value| (setting.key, value));
    SETTINGS
        .iter()
        .filter_map(with_default)
        .map(|(key, value)| (key, given(&value.to_string(), Source::Default)))
        .collect()
}

/// The values in the environment; `read` gives a variable's value.
pub(crate) fn environment(read: &dyn Fn(&str) -> Option<String>) -> Layer {
    let mut layer = Layer::new();
    for setting in SETTINGS {
        let names = [Some(setting.env()), setting.other_env.map(str::to_owned)];
        let first = names
            .into_iter()
            .flatten()
            .find_map(|name| read(&name).map(|value| (name, value)));
        if let Some((name, value)) = first {
            layer.insert(setting.key, given(&value, Source::Environment(name)));
        }
    }
    layer
}

/// The values of flags, by their settings' keys.
pub(crate) fn flags(flags: Vec<(&'static str, String)>) -> Layer {
    let flags = flags.into_iter();
    flags
        .map(|(key, value)| (key, given(&value, Source::Flag)))
        .collect()
}

/// The values in a file. An unknown key is an error that names the key, the line and a likely key.
pub(crate) fn file(path: &Path) -> CommandResult<Layer> {
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    let document = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        at(path, line, error.message())
    })?;
    let mut reader = Reader {
        path,
        text: &text,
        layer: Layer::new(),
    };
    reader.table("", document.get_ref())?;
    Ok(reader.layer)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    layer: Layer,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) -> CommandResult {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let line = line_of(self.text, name.span().start);
            let section = format!("{key}.");
            let known = SETTINGS.iter().find(|setting| setting.key == key);
            let is_section = SETTINGS.iter().any(|each| each.key.starts_with(&section));
            match (known, value.get_ref()) {
                (Some(setting), value) => self.value(setting, value, line)?,
                (None, DeValue::Table(inner)) if is_section => self.table(&section, inner)?,
                (None, _) if is_section => {
                    let message = format!("`{key}` is a section: write `[{key}]` on its own line");
                    return Err(at(self.path, line, &message));
                }
                (None, _) => return Err(self.unknown(&key, line)),
            }
        }
        Ok(())
    }

    fn value(&mut self, setting: &Setting, value: &DeValue<'_>, line: usize) -> CommandResult {
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if setting.kind == Kind::Number => number.as_str().to_owned(),
            // A path or a text that happens to be `true` is more likely a mistake.
            DeValue::Boolean(truth) if setting.kind == Kind::Truth => truth.to_string(),
            other => return Err(at(self.path, line, &wrong_type(setting, other))),
        };
        let source = Source::File(self.path.to_owned(), line);
        self.layer.insert(setting.key, given(&text, source));
        Ok(())
    }

    fn unknown(&self, key: &str, line: usize) -> Failure {
        let failure = at(self.path, line, &format!("unknown setting `{key}`"));
        let in_a_section = SETTINGS.iter().find(|setting| {
            setting
                .key
                .rsplit_once('.')
                .is_some_and(|(_, last)| last == key)
        });
        if let Some(setting) = in_a_section {
            return failure.hint(format!("did you mean `{}`?", setting.key));
        }
        match likely(key, SETTINGS.iter().map(|setting| setting.key)) {
            Some(known) => failure.hint(format!("did you mean `{known}`?")),
            None => failure.hint("run `countersign config print` to see every setting"),
        }
    }
}

/// Says which type a setting has instead, and how it would be written.
fn wrong_type(setting: &Setting, value: &DeValue<'_>) -> String {
    let key = setting.key.rsplit('.').next().unwrap_or(setting.key);
    let (is, wanted) = (value.type_str(), setting.kind);
    let article = if is.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    let example = match (value, wanted) {
        (DeValue::Integer(number), Kind::Text) => {
            format!(", in quotes: `{key} = \"{}\"`", number.as_str())
        }
        (_, Kind::Text) => ", in quotes".to_owned(),
        (_, Kind::Number) => format!(": `{key} = 5`"),
        (_, Kind::Truth) => format!(": `{key} = true`"),
    };
    let wanted = match wanted {
        Kind::Text => "a text",
        Kind::Number => "a number",
        Kind::Truth => "`true` or `false`",
    };
    format!(
        "`{}` is {article} {is}; it must be {wanted}{example}",
        setting.key
    )
}

fn given(value: &str, source: Source) -> Given {
    Given {
        value: value.to_owned(),
        source,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

fn at(path: &Path, line: usize, message: &str) -> Failure {
    Failure::usage(format_args!("{}:{line}: {message}", path.display()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let failure = file_kind::unreadable(path, error).with_exit(2);
    match failure.advice() {
        Some(_) => failure,
        None => failure.hint("give an existing file with `--config` or `COUNTERSIGN_CONFIG`"),
    }
}
