//! Reads settings of a TOML file by their types, each refusal with the line that led to it.

use std::path::{Path, PathBuf};

use countersign_types::{UnixSeconds, certificate::MAX_NAME_CHARACTERS};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    cli::{input::First, parse},
    config::likely,
    failure::{CommandResult, Failure},
};

/// A file that is being read.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// What to do about PEM files that hold several certificates.
    pub(super) first: First,
}

pub(super) type Key<'t> = Spanned<std::borrow::Cow<'t, str>>;
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// A setting of a table, with its place.
pub(super) fn entry<'a, 't>(
    table: &'a DeTable<'t>,
    key: &str,
) -> Option<(&'a Key<'t>, &'a Value<'t>)> {
    table.iter().find(|(name, _)| name.get_ref() == key)
}

impl Reader<'_> {
    pub(super) fn name(&self, table: &DeTable<'_>, path: &str) -> CommandResult<Option<String>> {
        let name = self.text_of(table, path, "name")?;
        let fits = |name: &String| {
            (1..=MAX_NAME_CHARACTERS).contains(&name.chars().count())
                && !name.chars().any(char::is_control)
        };
        if name.as_ref().is_none_or(fits) {
            return Ok(name);
        }
        let message = format!(
            "`{path}.name` must have 1 to {MAX_NAME_CHARACTERS} characters and no control characters"
        );
        Err(self.wrong(self.start_of(table, "name"), &message))
    }

    pub(super) fn section<'a, 't>(
        &self,
        table: &'a DeTable<'t>,
        key: &str,
        prefix: &str,
    ) -> CommandResult<Option<&'a DeTable<'t>>> {
        entry(table, key)
            .map(|(name, value)| self.table(&format!("{prefix}{key}"), name, value))
            .transpose()
    }

    pub(super) fn table<'a, 't>(
        &self,
        path: &str,
        name: &Key<'_>,
        value: &'a Value<'t>,
    ) -> CommandResult<&'a DeTable<'t>> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong(
                name.span().start,
                &format!("`{path}` is a section: write `[{path}]` on its own line"),
            )),
        }
    }

    pub(super) fn text_of(
        &self,
        table: &DeTable<'_>,
        path: &str,
        key: &str,
    ) -> CommandResult<Option<String>> {
        match entry(table, key) {
            None => Ok(None),
            Some((name, value)) => match value.get_ref() {
                DeValue::String(text) => Ok(Some(text.to_string())),
                other => {
                    let kind = other.type_str();
                    let message = format!("`{path}.{key}` must be a string; it is of type {kind}");
                    Err(self.wrong(name.span().start, &message))
                }
            },
        }
    }

    /// A time: a string, or as TOML writes times.
    pub(super) fn time_of(
        &self,
        table: &DeTable<'_>,
        path: &str,
        key: &str,
    ) -> CommandResult<Option<UnixSeconds>> {
        let text = match entry(table, key).map(|(_, value)| value.get_ref()) {
            Some(DeValue::Datetime(time)) => Some(time.to_string()),
            _ => self.text_of(table, path, key)?,
        };
        let time = text.map(|text| parse::time(&text)).transpose();
        time.map_err(|why| self.wrong(self.start_of(table, key), &format!("`{path}.{key}`: {why}")))
    }

    /// A setting that is true or false; false where it is absent.
    pub(super) fn truth_of(
        &self,
        table: &DeTable<'_>,
        path: &str,
        key: &str,
    ) -> CommandResult<bool> {
        match entry(table, key).map(|(_, value)| value.get_ref()) {
            None => Ok(false),
            Some(DeValue::Boolean(truth)) => Ok(*truth),
            Some(_) => {
                let message = format!("`{path}.{key}` must be `true` or `false`");
                Err(self.wrong(self.start_of(table, key), &message))
            }
        }
    }

    /// Refuses unknown settings: a misspelt one would cause a change that nobody wants.
    pub(super) fn known(&self, table: &DeTable<'_>, path: &str, known: &[&str]) -> CommandResult {
        let unknown = |name: &&Key<'_>| !known.contains(&name.get_ref().as_ref());
        let Some(name) = table.keys().find(unknown) else {
            return Ok(());
        };
        let dot = if path.is_empty() { "" } else { "." };
        let shown = format!("{path}{dot}{}", name.get_ref());
        let failure = self.wrong(name.span().start, &format!("unknown setting `{shown}`"));
        Err(match likely(name.get_ref(), known.iter().copied()) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint(format!("the settings here are `{}`", known.join("`, `"))),
        })
    }

    pub(super) fn start_of(&self, table: &DeTable<'_>, key: &str) -> usize {
        entry(table, key).map_or(0, |(name, _)| name.span().start)
    }

    pub(super) fn beside(&self, file: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    pub(super) fn line(&self, start: usize) -> String {
        let before = self.text.as_bytes().get(..start).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    pub(super) fn wrong(&self, start: usize, message: &str) -> Failure {
        Failure::new(format_args!("{}: {message}", self.line(start)))
    }

    /// Another failure, preceded by the line that led to it.
    pub(super) fn at(&self, start: usize, failure: &Failure) -> Failure {
        let at_line = self.wrong(start, failure.message());
        match failure.advice() {
            Some(hint) => at_line.hint(hint),
            None => at_line,
        }
    }
}
