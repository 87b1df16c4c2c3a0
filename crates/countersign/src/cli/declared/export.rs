//! Writes the file that a server already is as.

use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use countersign_client::Client;
use countersign_types::{
    certificate::{ActiveCertificate, Enforcement, Scope},
    project::Project,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::server::{self, Known};
use crate::{
    failure::{Doing, Failure, Outcome},
    output::{note, printable},
};

/// How many projects are read at a time.
const AT_ONCE: usize = 8;

/// Where it is written to.
pub(super) struct Target<'a> {
    pub(super) file: &'a Path,
    /// Where the PEM files go, seen from the file.
    pub(super) directory: &'a Path,
    pub(super) force: bool,
}

/// A certificate and what the file calls it.
struct Entry {
    key: String,
    known: Known,
}

/// Reads the server and writes everything, the file itself last.
pub(super) async fn export(client: &Client, target: &Target<'_>) -> Outcome {
    let entries = entries(server::certificates(client).await?)?;
    let projects = server::projects(client, true).await?;
    let organization = server::active(client, &Scope::Organization).await?;
    let read = |project: Project| async move {
        let scope = Scope::Project(project.id.clone());
        let active = server::active(client, &scope).await?;
        Ok::<_, countersign_client::Error>((project, active))
    };
    let reads = stream::iter(projects.into_iter().map(read));
    let scopes: Vec<_> = reads.buffered(AT_ONCE).try_collect().await?;

    let mut text = String::new();
    for entry in &entries {
        text += &certificate(entry, &target.directory.join(pem_name(entry)))?;
    }
    text += "[organization]\n";
    text += &lists(&entries, &organization)?;
    for (project, active) in scopes.iter().filter(|(_, active)| !active.is_empty()) {
        let name = project.name.as_deref().map(printable).unwrap_or_default();
        let _ = writeln!(text, "\n[projects.{}] # {name}", project.id);
        text += &lists(&entries, active)?;
    }
    target.write(&entries, &text)
}

impl Target<'_> {
    fn write(&self, entries: &[Entry], text: &str) -> Outcome {
        let beside = self.file.parent().unwrap_or(Path::new(""));
        let directory = beside.join(self.directory);
        fs::create_dir_all(&directory).doing(format_args!("make `{}`", directory.display()))?;
        let mut files: Vec<(PathBuf, &str)> = entries
            .iter()
            .map(|entry| (directory.join(pem_name(entry)), entry.known.pem.as_str()))
            .collect();
        files.push((self.file.to_owned(), text));
        // All are looked at before the first is written.
        for (path, content) in &files {
            self.may_write(path, content)?;
        }
        for (path, content) in &files {
            fs::write(path, content).doing(format_args!("write `{}`", path.display()))?;
        }
        note(&format!(
            "wrote `{}` and {} PEM files",
            self.file.display(),
            entries.len()
        ));
        Ok(())
    }

    fn may_write(&self, path: &Path, content: &str) -> Outcome {
        let there = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            read => read.doing(format_args!("look at `{}`", path.display()))?,
        };
        if self.force || there == content.as_bytes() {
            return Ok(());
        }
        let message = format!("`{}` is there and says something else", path.display());
        Err(Failure::new(message).hint("write elsewhere, or replace what is there with `--force`"))
    }
}

/// The certificates with a local key each, made from its name.
fn entries(certificates: Vec<Known>) -> Outcome<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for known in certificates {
        if known.sha256.is_none() {
            return Err(Failure::new(format_args!(
                "the server gives no readable PEM for `{}`",
                known.id
            )));
        }
        let same = |each: &&Entry| each.known.sha256 == known.sha256;
        if let Some(same) = entries.iter().find(same) {
            return Err(Failure::new(format_args!(
                "the server holds the same certificate twice, as `{}` and `{}`",
                same.known.id, known.id
            ))
            .hint("delete the one that is not active: `countersign certificate delete ID`"));
        }
        let key = key(&known, &entries);
        entries.push(Entry { key, known });
    }
    Ok(entries)
}

/// What a certificate is called in the file: letters, digits and dashes of its name, so that the
/// key is a file's name anywhere, whatever a server called it.
fn key(known: &Known, taken: &[Entry]) -> String {
    let name = known
        .name
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let words: Vec<&str> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut base: String = words.join("-").chars().take(60).collect();
    if base.is_empty() {
        base = known.id.to_string();
    }
    let is_free = |key: &String| !taken.iter().any(|entry| entry.key == *key);
    let numbered = (2..).map(|number: u32| format!("{base}-{number}"));
    let mut candidates = [base.clone()].into_iter().chain(numbered);
    candidates.find(is_free).unwrap_or(base)
}

fn pem_name(entry: &Entry) -> String {
    format!("{}.pem", entry.key)
}

fn certificate(entry: &Entry, file: &Path) -> Outcome<String> {
    let file = file
        .to_str()
        .ok_or_else(|| Failure::new("the directory's name is not UTF-8"))?;
    let mut text = format!("[certificates.{}]\nfile = {}\n", entry.key, quoted(file));
    for (setting, value) in [("name", &entry.known.name), ("policy", &entry.known.policy)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{setting} = {}", quoted(value));
        }
    }
    text.push('\n');
    Ok(text)
}

/// The lists of a scope.
fn lists(entries: &[Entry], active: &[ActiveCertificate]) -> Outcome<String> {
    let mut lists = [Vec::new(), Vec::new()];
    let [enforce, report] = &mut lists;
    for each in active {
        let entry = entries
            .iter()
            .find(|entry| entry.known.id == each.certificate_id);
        let entry = entry.ok_or_else(|| {
            Failure::new("somebody changed the certificates while they were read")
                .hint("export again")
        })?;
        match each.enforcement {
            Enforcement::Enforce => enforce.push(quoted(&entry.key)),
            Enforcement::Report => report.push(quoted(&entry.key)),
        }
    }
    let mut text = format!("enforce = [{}]\n", enforce.join(", "));
    if !report.is_empty() {
        let _ = writeln!(text, "report = [{}]", report.join(", "));
    }
    Ok(text)
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
