//! The denials that a file declares.

use countersign_types::{
    UnixSeconds,
    certificate::{Enforcement, MAX_NAME_CHARACTERS},
    denial::{DenialMatch, IssuerAndSerial, MAX_DENIALS_PER_ORGANIZATION, MAX_REASON_CHARACTERS},
    id::DenialId,
};
use countersign_verify::denial::normal;
use toml::de::DeTable;

use super::reader::{Key, Reader, Value, entry};
use crate::{
    cli::{denial::alternative_name, find::sha256},
    failure::CommandResult,
};

/// The section.
pub(super) const SECTION: &str = "denials";

/// The settings that say what is refused; each denial has one of them, `serial` with its `issuer`.
const MATCHES: [&str; 4] = ["leaf", "spki", "serial", "san"];

/// A denial of the file.
pub(super) struct WantedDenial {
    /// Its key in the file: its name, or the id of one that the server has.
    pub(super) key: String,
    /// The line where it is declared, `trust.toml:9`.
    pub(super) line: String,
    pub(super) name: String,
    /// What it refuses, in the form that is compared.
    pub(super) matches: DenialMatch,
    /// The project, by id or by name; `None` is every project.
    pub(super) project: Option<String>,
    pub(super) enforcement: Enforcement,
    pub(super) until: Option<UnixSeconds>,
    pub(super) reason: Option<String>,
}

/// Reads the section.
pub(super) fn read(reader: &Reader<'_>, table: &DeTable<'_>) -> CommandResult<Vec<WantedDenial>> {
    let mut all = Vec::new();
    for (name, value) in table {
        if all.len() == MAX_DENIALS_PER_ORGANIZATION {
            let message = format!(
                "more than {MAX_DENIALS_PER_ORGANIZATION} denials, the most that an organization may have"
            );
            return Err(reader.wrong(name.span().start, &message));
        }
        all.push(denial(reader, name, value)?);
    }
    Ok(all)
}

fn denial(reader: &Reader<'_>, name: &Key<'_>, value: &Value<'_>) -> CommandResult<WantedDenial> {
    let (key, start) = (name.get_ref().to_string(), name.span().start);
    let path = format!("{SECTION}.{key}");
    let table = reader.table(&path, name, value)?;
    let known = ["issuer", "name", "project", "reason", "report", "until"];
    reader.known(table, &path, &[&MATCHES[..], &known].concat())?;
    let reason = reader.text_of(table, &path, "reason")?;
    if let Some(text) = &reason
        && !(1..=MAX_REASON_CHARACTERS).contains(&text.chars().count())
    {
        let message = format!("`{path}.reason` must have 1 to {MAX_REASON_CHARACTERS} characters");
        return Err(reader.wrong(reader.start_of(table, "reason"), &message));
    }
    Ok(WantedDenial {
        line: reader.line(start),
        name: called(reader, table, &path, (&key, start))?,
        matches: matches(reader, table, &path, start)?,
        project: reader.text_of(table, &path, "project")?,
        enforcement: if reader.truth_of(table, &path, "report")? {
            Enforcement::Report
        } else {
            Enforcement::Enforce
        },
        until: reader.time_of(table, &path, "until")?,
        reason,
        key,
    })
}

/// Its name: the section's, or `name` where the section is called by an id.
fn called(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    (key, start): (&str, usize),
) -> CommandResult<String> {
    let name = reader.name(table, path)?;
    match (name, key.parse::<DenialId>()) {
        (Some(name), Ok(_)) => Ok(name),
        (None, Ok(_)) => Err(reader
            .wrong(start, &format!("`{path}` has no `name`"))
            .hint("a section that is called by a denial's id says its name too: `name = \"stolen laptop\"`")),
        (Some(_), Err(_)) => {
            let message = format!("`{path}.name`: the section is called as the denial is");
            Err(reader.wrong(reader.start_of(table, "name"), &message))
        }
        (None, Err(_))
            if !(1..=MAX_NAME_CHARACTERS).contains(&key.chars().count())
                || key.chars().any(char::is_control) =>
        {
            let message = format!(
                "the name of a denial must have 1 to {MAX_NAME_CHARACTERS} characters and no control characters"
            );
            Err(reader.wrong(start, &message))
        }
        (None, Err(_)) => Ok(key.to_owned()),
    }
}

/// What is refused.
fn matches(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    start: usize,
) -> CommandResult<DenialMatch> {
    let given: Vec<&str> = MATCHES
        .into_iter()
        .filter(|key| entry(table, key).is_some())
        .collect();
    let [key] = given.as_slice() else {
        let message = match given.as_slice() {
            [first, second, ..] => format!("`{path}` has both `{first}` and `{second}`; keep one"),
            _ => format!("`{path}` does not say what it refuses"),
        };
        return Err(reader.wrong(start, &message).hint(
            "give the SHA-256 of a client certificate as `leaf` or of a public key as `spki`, `issuer` and `serial`, or a name as `san = \"DNS:worker.example.com\"`",
        ));
    };
    let place = reader.start_of(table, key);
    let text = reader.text_of(table, path, key)?.unwrap_or_default();
    let issuer = reader.text_of(table, path, "issuer")?;
    if issuer.is_some() != (*key == "serial") {
        let message = format!("`{path}`: `issuer` and `serial` go together");
        return Err(reader.wrong(place, &message));
    }
    let matches = match *key {
        "leaf" => sha256(&text).map(DenialMatch::LeafSha256),
        "spki" => sha256(&text).map(DenialMatch::SpkiSha256),
        "san" => alternative_name(&text).map(DenialMatch::SubjectAltName),
        _ => {
            let numbered = DenialMatch::IssuerAndSerial(IssuerAndSerial {
                issuer: issuer.unwrap_or_default(),
                serial_number: text,
            });
            normal(&numbered).map_err(|invalid| invalid.message)
        }
    };
    matches.map_err(|why| reader.wrong(place, &format!("`{path}.{key}`: {why}")))
}
