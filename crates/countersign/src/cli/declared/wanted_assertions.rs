//! The assertions that a file declares.

use std::path::Path;

use countersign_types::{
    assertion::{AssertedCode, Expectation, MAX_REASON_CHARACTERS},
    certificate::MAX_NAME_CHARACTERS,
    digest::Sha256,
    observation::Der,
};
use toml::de::{DeTable, DeValue};

use super::reader::{Key, Reader, Value, entry};
use crate::{
    cli::{chain, find::sha256},
    failure::{CommandResult, Failure},
};

/// The settings that say what a client presents; each assertion has one of them.
const CHAINS: [&str; 4] = ["chain", "chain_pem", "leaf", "no_certificate"];

/// An assertion of the file.
pub(super) struct WantedAssertion {
    /// Its name, which is its key in the file.
    pub(super) name: String,
    /// The line where it is declared, `trust.toml:9`.
    pub(super) line: String,
    /// The project, by id or by name; `None` is the organization.
    pub(super) project: Option<String>,
    pub(super) expect: Expectation,
    pub(super) code: Option<AssertedCode>,
    pub(super) presents: Presents,
    pub(super) reason: Option<String>,
}

/// What a client presents.
pub(super) enum Presents {
    /// This chain; an empty one is none.
    Chain(Vec<Der>),
    /// A leaf that gateways let through, with the chain that it came with.
    Leaf(Sha256),
}

/// Reads the section.
pub(super) fn read(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
) -> CommandResult<Vec<WantedAssertion>> {
    let mut all = Vec::new();
    for (name, value) in table {
        all.push(assertion(reader, name, value)?);
    }
    Ok(all)
}

fn assertion(
    reader: &Reader<'_>,
    name: &Key<'_>,
    value: &Value<'_>,
) -> CommandResult<WantedAssertion> {
    let (key, start) = (name.get_ref().to_string(), name.span().start);
    let path = format!("assertions.{key}");
    let table = reader.table(&path, name, value)?;
    let known = ["project", "expect", "code", "reason"];
    reader.known(table, &path, &[&CHAINS[..], &known].concat())?;
    if !(1..=MAX_NAME_CHARACTERS).contains(&key.chars().count())
        || key.chars().any(char::is_control)
    {
        let message = format!(
            "the name of an assertion must have 1 to {MAX_NAME_CHARACTERS} characters and no control characters"
        );
        return Err(reader.wrong(start, &message));
    }
    let expect = word(reader, table, &path, "expect", &["permit", "deny"])?;
    let expect: Expectation = expect
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| missing(reader, start, &path, "expect", "expect = \"permit\""))?;
    let codes = AssertedCode::ALL.map(AssertedCode::as_str);
    let code = word(reader, table, &path, "code", &codes)?;
    let code: Option<AssertedCode> = code.and_then(|word| word.parse().ok());
    if expect == Expectation::Permit && code.is_some() {
        let message = format!("`{path}.code` goes with `expect = \"deny\"`");
        return Err(reader.wrong(reader.start_of(table, "code"), &message));
    }
    let reason = reader.text_of(table, &path, "reason")?;
    if let Some(text) = &reason
        && !(1..=MAX_REASON_CHARACTERS).contains(&text.chars().count())
    {
        let message = format!("`{path}.reason` must have 1 to {MAX_REASON_CHARACTERS} characters");
        return Err(reader.wrong(reader.start_of(table, "reason"), &message));
    }
    Ok(WantedAssertion {
        line: reader.line(start),
        project: reader.text_of(table, &path, "project")?,
        expect,
        code,
        presents: presented(reader, table, &path, start)?,
        reason,
        name: key,
    })
}

/// A setting that is one of these words.
fn word(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    key: &str,
    known: &[&str],
) -> CommandResult<Option<String>> {
    let text = reader.text_of(table, path, key)?;
    match text {
        Some(text) if !known.contains(&text.as_str()) => {
            let message = format!("`{path}.{key}` must be one of `{}`", known.join("`, `"));
            Err(reader.wrong(reader.start_of(table, key), &message))
        }
        text => Ok(text),
    }
}

fn missing(reader: &Reader<'_>, start: usize, path: &str, key: &str, example: &str) -> Failure {
    reader
        .wrong(start, &format!("`{path}` has no `{key}`"))
        .hint(format!("add it: `{example}`"))
}

/// What the client presents: a PEM file, PEM in its place, what gateways saw, or nothing.
fn presented(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    start: usize,
) -> CommandResult<Presents> {
    let given: Vec<&str> = CHAINS
        .into_iter()
        .filter(|key| entry(table, key).is_some())
        .collect();
    let [key] = given.as_slice() else {
        let message = match given.as_slice() {
            [] => format!("`{path}` does not say what the client presents"),
            [first, second, ..] => format!("`{path}` has both `{first}` and `{second}`; keep one"),
            [_] => String::new(),
        };
        return Err(reader.wrong(start, &message).hint(
            "give `chain = \"client.pem\"`, its PEM as `chain_pem`, the SHA-256 of a client certificate that was let through as `leaf`, or `no_certificate = true`",
        ));
    };
    let place = reader.start_of(table, key);
    if *key == "no_certificate" {
        return match entry(table, key).map(|(_, value)| value.get_ref()) {
            Some(DeValue::Boolean(true)) => Ok(Presents::Chain(Vec::new())),
            _ => {
                let message = format!("`{path}.no_certificate` must be `true`, or left out");
                Err(reader.wrong(place, &message))
            }
        };
    }
    let text = reader.text_of(table, path, key)?.unwrap_or_default();
    if *key == "leaf" {
        let sha256 = sha256(&text).map_err(|why| format!("`{path}.leaf`: {why}"));
        return sha256
            .map(Presents::Leaf)
            .map_err(|message| reader.wrong(place, &message));
    }
    let read = if *key == "chain" {
        chain::read(&reader.beside(Path::new(&text)))
    } else {
        chain::parse(&text, &format!("`{path}.chain_pem`"))
    };
    read.map(Presents::Chain)
        .map_err(|failure| reader.at(place, &failure))
}
