//! Reads the declared file strictly: a mistake is reported with its line before a server is called.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_types::{
    UnixSeconds,
    certificate::{Enforcement, MAX_CERTIFICATES_PER_ORGANIZATION},
};
use countersign_verify::{
    certificate::{Facts, Rejection, inspect},
    policy::Policy,
};
use toml::de::{DeArray, DeTable, DeValue};

use super::{
    reader::{Key, Reader, Value, entry},
    wanted_assertions::{self, WantedAssertion},
    wanted_denials::{self, WantedDenial},
    wanted_providers::{self, WantedProvider},
};
use crate::{
    cli::input::{First, read_anchor, read_text},
    config::likely,
    failure::{CommandResult, Failure},
    file_kind::{Kind, Wanted as FileKind, unreadable},
};

/// The sections that a file may have.
const SECTIONS: [&str; 6] = [
    "certificates",
    "organization",
    "projects",
    wanted_denials::SECTION,
    "assertions",
    wanted_providers::SECTION,
];

/// The settings of floors: the one that is enforced, and the one that is only reported.
const FLOORS: [&str; 2] = ["refuse_issued_before", "reported_refuse_issued_before"];
/// The setting for no floor.
const ANY_AGE: &str = "accept_any_age";

/// The content of a file.
pub(super) struct Declared {
    /// The certificates, ordered by their keys in the file.
    pub(super) certificates: Vec<Wanted>,
    /// The scopes: the organization first, then the projects, ordered by their keys in the file.
    pub(super) scopes: Vec<WantedScope>,
    /// The denials, ordered by their keys in the file; `None` leaves those of the server alone.
    pub(super) denials: Option<Vec<WantedDenial>>,
    /// The assertions, ordered by their names; `None` leaves those of the server alone.
    pub(super) assertions: Option<Vec<WantedAssertion>>,
    /// The workload identity providers, ordered by their keys in the file; `None` leaves those of the server
    /// alone.
    pub(super) providers: Option<Vec<WantedProvider>>,
}

/// A certificate of the file.
pub(super) struct Wanted {
    /// Its key in the file.
    pub(super) key: String,
    /// The line where it is declared, `trust.toml:3`.
    pub(super) line: String,
    /// Its PEM file, as the file names it.
    pub(super) file: PathBuf,
    pub(super) pem: String,
    pub(super) facts: Facts,
    /// Why an upload would be refused now; empty when it would not.
    pub(super) reasons: Vec<Rejection>,
    /// The name that it should have; `None` keeps its name.
    pub(super) name: Option<String>,
    /// The policy that it should have; `None` means no policy.
    pub(super) policy: Option<String>,
    /// The policy that should only be reported; `None` means none.
    pub(super) reported: Option<String>,
    pub(super) floors: WantedFloors,
}

/// From when on the client certificates under an anchor must have been issued.
#[derive(Clone, Copy)]
pub(super) enum WantedFloors {
    /// The file says nothing: the server's stay.
    Unnamed,
    /// Enforced, and only reported; `None` is none.
    Are(Option<UnixSeconds>, Option<UnixSeconds>),
}

impl WantedFloors {
    /// The one that should be there; none where the file says nothing.
    pub(super) const fn of(self, enforcement: Enforcement) -> Option<UnixSeconds> {
        match (self, enforcement) {
            (Self::Unnamed, _) => None,
            (Self::Are(floor, _), Enforcement::Enforce)
            | (Self::Are(_, floor), Enforcement::Report) => floor,
        }
    }
}

/// A scope of the file.
pub(super) struct WantedScope {
    pub(super) owner: Owner,
    /// The line where it is declared, `trust.toml:7`.
    pub(super) line: String,
    /// Everything that should be active there: indexes in [`Declared::certificates`].
    pub(super) active: Vec<(usize, Enforcement)>,
}

/// Whose scope it is.
pub(super) enum Owner {
    Organization,
    /// By id or by name.
    Project(String),
}

/// Reads a file and the PEM and policy files that it names.
pub(super) fn read(path: &Path, first: First) -> CommandResult<Declared> {
    let text = toml_text(path)?;
    let reader = Reader {
        path,
        text: &text,
        first,
    };
    let document = DeTable::parse(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        reader
            .wrong(start, error.message())
            .hint("the file is TOML, as `countersign export FILE` writes it")
    })?;
    let document = document.get_ref();
    reader.known(document, "", &SECTIONS)?;
    let certificates = match reader.section(document, "certificates", "")? {
        Some(table) => reader.certificates(table)?,
        None => Vec::new(),
    };
    let mut scopes = Vec::new();
    if let Some((name, value)) = entry(document, "organization") {
        let owner = Owner::Organization;
        scopes.push(reader.scope(owner, "organization", name, value, &certificates)?);
    }
    if let Some(projects) = reader.section(document, "projects", "")? {
        for (name, value) in projects {
            let owner = Owner::Project(name.get_ref().to_string());
            let shown = format!("projects.{}", name.get_ref());
            scopes.push(reader.scope(owner, &shown, name, value, &certificates)?);
        }
    }
    let denials = reader
        .section(document, wanted_denials::SECTION, "")?
        .map(|table| wanted_denials::read(&reader, table))
        .transpose()?;
    let assertions = reader
        .section(document, "assertions", "")?
        .map(|table| wanted_assertions::read(&reader, table))
        .transpose()?;
    let providers = reader
        .section(document, wanted_providers::SECTION, "")?
        .map(|table| wanted_providers::read(&reader, table))
        .transpose()?;
    let is_silent = denials.is_none() && assertions.is_none() && providers.is_none();
    if certificates.is_empty() && scopes.is_empty() && is_silent {
        return Err(
            Failure::new(format_args!("`{}` declares nothing", path.display()))
                .hint("`countersign export FILE` writes such a file from the server's state"),
        );
    }
    Ok(Declared {
        certificates,
        scopes,
        denials,
        assertions,
        providers,
    })
}

/// The text of a file; one in another encoding is called what it is.
fn toml_text(path: &Path) -> CommandResult<String> {
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let refused = || Kind::of(&bytes).instead_of(FileKind::Text, path);
    match std::str::from_utf8(&bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.trim_start_matches('\u{feff}').to_owned()),
        _ => Err(refused()),
    }
}

impl Reader<'_> {
    fn certificates(&self, table: &DeTable<'_>) -> CommandResult<Vec<Wanted>> {
        let mut all: Vec<Wanted> = Vec::new();
        for (name, value) in table {
            let start = name.span().start;
            if all.len() == MAX_CERTIFICATES_PER_ORGANIZATION {
                return Err(self.wrong(
                    start,
                    &format!(
                        "more than {MAX_CERTIFICATES_PER_ORGANIZATION} certificates, the most that \
                         an organization may have"
                    ),
                ));
            }
            let wanted = self.certificate(name, value)?;
            let same = all
                .iter()
                .find(|each| each.facts.sha256() == wanted.facts.sha256());
            if let Some(same) = same {
                let message = format!(
                    "`{}` is the same certificate as `{}` ({})",
                    wanted.key, same.key, same.line
                );
                return Err(self
                    .wrong(start, &message)
                    .hint("keep one entry; any number of scopes can list the same certificate"));
            }
            all.push(wanted);
        }
        Ok(all)
    }

    fn certificate(&self, name: &Key<'_>, value: &Value<'_>) -> CommandResult<Wanted> {
        let (key, start) = (name.get_ref().to_string(), name.span().start);
        let path = format!("certificates.{key}");
        let table = self.table(&path, name, value)?;
        self.known(
            table,
            &path,
            &[
                "file",
                "first",
                "name",
                "policy",
                "policy_file",
                "reported_policy",
                "reported_policy_file",
                FLOORS[0],
                FLOORS[1],
                ANY_AGE,
            ],
        )?;
        let file = self.text_of(table, &path, "file")?.ok_or_else(|| {
            self.wrong(start, &format!("`{path}` has no `file`"))
                .hint("add its PEM file, relative to this file: `file = \"ca.pem\"`")
        })?;
        let file = PathBuf::from(file);
        let first = self.first.or(self.truth_of(table, &path, "first")?);
        let read = read_anchor(&self.beside(&file), first);
        let pem = read.map_err(|failure| self.at(start, &failure))?;
        let inspection = inspect(&pem, crate::clock::unix_seconds());
        let facts = inspection.facts.ok_or_else(|| {
            let why = inspection.reasons.first().map(Rejection::to_string);
            self.no_anchor(start, &file, &why.unwrap_or_default())
        })?;
        if !facts.is_ca() {
            let why = "It is the certificate of a client or server (a leaf), not of a CA.";
            return Err(self.no_anchor(start, &file, why));
        }
        Ok(Wanted {
            key,
            line: self.line(start),
            file,
            pem,
            facts,
            reasons: inspection.reasons,
            name: self.name(table, &path)?,
            policy: self.policy(table, &path, "policy")?,
            reported: self.policy(table, &path, "reported_policy")?,
            floors: self.floors(table, &path)?,
        })
    }

    fn floors(&self, table: &DeTable<'_>, path: &str) -> CommandResult<WantedFloors> {
        let any_age = self.truth_of(table, path, ANY_AGE)?;
        let mut floors = [None; 2];
        for (floor, setting) in floors.iter_mut().zip(FLOORS) {
            *floor = self.time_of(table, path, setting)?;
            let start = self.start_of(table, setting);
            if floor.is_some() && any_age {
                let message = format!("`{path}` has both `{setting}` and `{ANY_AGE}`; keep one");
                return Err(self.wrong(start, &message));
            }
            if floor.is_some_and(|floor| floor > crate::clock::unix_seconds()) {
                let message = format!(
                    "`{path}.{setting}` is in the future: what is issued until then would be refused, too"
                );
                return Err(self.wrong(start, &message));
            }
        }
        Ok(match floors {
            [None, None] if !any_age => WantedFloors::Unnamed,
            [enforced, reported] => WantedFloors::Are(enforced, reported),
        })
    }

    fn no_anchor(&self, start: usize, file: &Path, why: &str) -> Failure {
        let message = format!("`{}` cannot be a trust anchor: {why}", file.display());
        self.wrong(start, &message)
            .hint("run `countersign certificate inspect FILE` to see what the file is")
    }

    fn policy(
        &self,
        table: &DeTable<'_>,
        path: &str,
        setting: &'static str,
    ) -> CommandResult<Option<String>> {
        self.cel(table, path, setting, |text| {
            let compiled = Policy::compile(text).map(drop);
            compiled.map_err(|error| format!("is not a valid policy: {error}"))
        })
    }

    /// CEL: in place, or in a file that the setting with `_file` names.
    pub(super) fn cel(
        &self,
        table: &DeTable<'_>,
        path: &str,
        setting: &'static str,
        compile: impl Fn(&str) -> Result<(), String>,
    ) -> CommandResult<Option<String>> {
        let setting_file = format!("{setting}_file");
        let inline = self.text_of(table, path, setting)?;
        let file = self.text_of(table, path, &setting_file)?;
        let (text, key) = match (inline, file) {
            (Some(_), Some(_)) => {
                let message =
                    format!("`{path}` has both `{setting}` and `{setting_file}`; keep one");
                return Err(self.wrong(self.start_of(table, &setting_file), &message));
            }
            (None, None) => return Ok(None),
            (Some(text), None) => (text, setting),
            (None, Some(file)) => {
                let start = self.start_of(table, &setting_file);
                let text = read_text(&self.beside(Path::new(&file)));
                let text = text.map_err(|failure| self.at(start, &failure))?;
                (text.trim_end().to_owned(), setting_file.as_str())
            }
        };
        match compile(&text) {
            Ok(()) => Ok(Some(text)),
            Err(why) => {
                let message = format!("`{path}.{key}` {why}");
                Err(self.wrong(self.start_of(table, key), &message))
            }
        }
    }

    fn scope(
        &self,
        owner: Owner,
        path: &str,
        name: &Key<'_>,
        value: &Value<'_>,
        certificates: &[Wanted],
    ) -> CommandResult<WantedScope> {
        let table = self.table(path, name, value)?;
        self.known(table, path, &["enforce", "report"])?;
        let start = name.span().start;
        if table.is_empty() {
            return Err(self
                .wrong(
                    start,
                    &format!("`{path}` does not say what is active there"),
                )
                .hint(
                    "write `enforce = []` for nothing, or remove the section to leave the scope alone",
                ));
        }
        let mut active: Vec<(usize, Enforcement)> = Vec::new();
        for (list, enforcement) in [
            ("enforce", Enforcement::Enforce),
            ("report", Enforcement::Report),
        ] {
            for (key, start) in self.keys(table, path, list)? {
                let index = self.index(&key, start, certificates)?;
                if active.iter().any(|(known, _)| *known == index) {
                    return Err(self.wrong(start, &format!("`{key}` is listed twice in `{path}`")));
                }
                active.push((index, enforcement));
            }
        }
        Ok(WantedScope {
            owner,
            line: self.line(start),
            active,
        })
    }

    /// The certificate keys of a list, each with its position in the text.
    fn keys(
        &self,
        table: &DeTable<'_>,
        path: &str,
        list: &str,
    ) -> CommandResult<Vec<(String, usize)>> {
        let Some((name, value)) = entry(table, list) else {
            return Ok(Vec::new());
        };
        let wrong = |start| {
            let message = format!(
                "`{path}.{list}` must be a list of certificate keys: `{list} = [\"mesh\"]`"
            );
            self.wrong(start, &message)
        };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(wrong(name.span().start));
        };
        let items: &DeArray<'_> = items;
        let key = |item: &Value<'_>| match item.get_ref() {
            DeValue::String(key) => Ok((key.to_string(), item.span().start)),
            _ => Err(wrong(item.span().start)),
        };
        items.iter().map(key).collect()
    }

    fn index(&self, key: &str, start: usize, certificates: &[Wanted]) -> CommandResult<usize> {
        let index = certificates.iter().position(|each| each.key == key);
        index.ok_or_else(|| {
            let failure = self.wrong(start, &format!("no certificate `{key}` in this file"));
            match likely(key, certificates.iter().map(|each| each.key.as_str())) {
                Some(known) => failure.hint(format!("did you mean `{known}`?")),
                None => failure.hint(format!(
                    "declare it with `[certificates.{key}]` and its `file`"
                )),
            }
        })
    }
}
