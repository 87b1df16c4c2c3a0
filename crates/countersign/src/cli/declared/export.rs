//! Writes the file that describes a server's present state.

use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use countersign_client::{Client, Received};
use countersign_types::{
    assertion::Assertion,
    certificate::{ActiveCertificate, Enforcement, Scope},
    id::ProjectId,
    project::Project,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    denial_export, federation_export,
    server::{self, Known},
    toml_text::{quoted, quoted_key},
};
use crate::{
    cli::{chain, input::certificates},
    failure::{CommandResult, Doing, Failure},
    file_kind::unreadable,
    output::{note, printable, timestamp},
};

/// How many projects are read concurrently.
const CONCURRENCY: usize = 8;

/// Where the files are written.
pub(super) struct Target<'a> {
    pub(super) file: &'a Path,
    /// The directory of the PEM files, relative to the file.
    pub(super) directory: &'a Path,
    pub(super) force: bool,
}

/// A certificate and its key in the file.
struct Entry {
    key: String,
    known: Known,
    /// Its other copies on the server.
    copies: Vec<Known>,
}

/// Reads the server's state and writes all files, the declared file last.
pub(super) async fn export(client: &Client, target: &Target<'_>) -> CommandResult {
    let known = server::certificates(client).await?;
    let leaves_out = known.iter().any(|each| each.has_lists);
    let projects = server::projects(client, true).await?;
    let organization = server::active(client, &Scope::Organization).await?;
    let read = |project: Received<Project>| async move {
        let scope = Scope::Project(project.id.clone());
        let active = server::active(client, &scope).await?;
        Ok::<_, countersign_client::Error>((project, active))
    };
    let reads = stream::iter(projects.into_iter().map(read));
    let scopes: Vec<_> = reads.buffered(CONCURRENCY).try_collect().await?;

    let mut active: Vec<&ActiveCertificate> = organization.iter().collect();
    active.extend(scopes.iter().flat_map(|(_, active)| active));
    let entries = entries(known, &active)?;
    let mut text = String::new();
    for entry in &entries {
        text += &certificate(entry, &target.directory.join(pem_name(entry)))?;
    }
    text += "[organization]\n";
    text += &lists(&entries, &organization)?;
    for (project, active) in scopes.iter().filter(|(_, active)| !active.is_empty()) {
        let name = project.name.as_deref().map(printable).unwrap_or_default();
        let _ = writeln!(text, "\n[projects.{}] # {name}", project_key(&project.id));
        text += &lists(&entries, active)?;
    }
    if server::has_denials(client).await? {
        text += &denial_export::sections(client).await?;
    }
    if server::has_assertions(client).await? {
        for assertion in server::assertions(client).await? {
            text += &assertion_section(&assertion);
        }
    }
    if server::has_workload_identity(client).await? {
        text += &federation_export::sections(client).await?;
    }
    target.write(&entries, &text)?;
    if leaves_out {
        note(
            "the file does not hold revocation lists, nor what a missing one means, and this server has some: where it is \
             applied to another, what they refuse passes (see `countersign certificate crl list NAME`)",
        );
    }
    Ok(())
}

impl Target<'_> {
    fn write(&self, entries: &[Entry], text: &str) -> CommandResult {
        let beside = self.file.parent().unwrap_or(Path::new(""));
        // Without a slash at its end, with which a file is not found.
        let directory: PathBuf = beside.join(self.directory).components().collect();
        if directory.exists() && !directory.is_dir() {
            let message = format!("`{}` is not a directory", directory.display());
            return Err(Failure::new(message).hint("name another with `--dir`"));
        }
        fs::create_dir_all(&directory)
            .doing(format_args!("create `{}`", directory.display()))
            .map_err(|failure| failure.hint("choose a directory that you may write to"))?;
        let mut files: Vec<(PathBuf, &str)> = entries
            .iter()
            .map(|entry| (directory.join(pem_name(entry)), entry.known.pem.as_str()))
            .collect();
        files.push((self.file.to_owned(), text));
        // Check all before writing the first, so that a refusal leaves no half of an export behind.
        for (path, content) in &files {
            self.may_write(path, content)?;
        }
        for (path, content) in &files {
            fs::write(path, content).doing(format_args!("write `{}`", path.display()))?;
        }
        note(&format!(
            "wrote `{}` and {} PEM file{}",
            self.file.display(),
            entries.len(),
            if entries.len() == 1 { "" } else { "s" }
        ));
        Ok(())
    }

    fn may_write(&self, path: &Path, content: &str) -> CommandResult {
        let there = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| unreadable(path, &error))?,
        };
        if self.force || there == content.as_bytes() {
            return Ok(());
        }
        let message = format!("`{}` exists with other content", path.display());
        Err(Failure::new(message).hint("choose another file, or overwrite this one with `--force`"))
    }
}

/// The certificates, each with a key made from its name. Several that are the same are one.
fn entries(certificates: Vec<Known>, active: &[&ActiveCertificate]) -> CommandResult<Vec<Entry>> {
    let scopes = |known: &Known| {
        let is_it = |each: &&&ActiveCertificate| each.certificate_id == known.id;
        active.iter().filter(is_it).count()
    };
    let mut entries: Vec<Entry> = Vec::new();
    for known in certificates {
        if known.sha256.is_none() {
            return Err(Failure::new(format_args!(
                "the server returned no readable PEM for `{}`",
                known.id
            )));
        }
        let same = |each: &&mut Entry| each.known.sha256 == known.sha256;
        let Some(same) = entries.iter_mut().find(same) else {
            let key = key(&known, &entries);
            entries.push(Entry {
                key,
                known,
                copies: Vec::new(),
            });
            continue;
        };
        let both_active = scopes(&same.known) > 0 && scopes(&known) > 0;
        let refuses = |known: &Known| {
            let policies = (known.policy.clone(), known.reported.clone());
            (policies, known.floor, known.reported_floor)
        };
        if both_active && refuses(&same.known) != refuses(&known) {
            return Err(Failure::new(format_args!(
                "`{}` and `{}` are the same certificate with different policies or floors, and both are active: a file cannot say that",
                same.known.id, known.id
            ))
            .hint("give both the same, or deactivate one: `countersign certificate deactivate ID`"));
        }
        note(&format!(
            "`{}` and `{}` are the same certificate; the file has it once",
            same.known.id, known.id
        ));
        // As a plan of the file finds it: the copy that is active at most scopes.
        if scopes(&known) > scopes(&same.known) {
            same.copies.push(std::mem::replace(&mut same.known, known));
        } else {
            same.copies.push(known);
        }
    }
    Ok(entries)
}

/// A certificate's key in the file: letters, digits and dashes of its name, so that the key is a
/// safe file name, whatever the name on the server is.
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

fn certificate(entry: &Entry, file: &Path) -> CommandResult<String> {
    let file = file
        .to_str()
        .ok_or_else(|| Failure::new("the path of the PEM files is not UTF-8"))?;
    let mut text = format!("[certificates.{}]\nfile = {}\n", entry.key, quoted(file));
    if certificates(&entry.known.pem) > 1 {
        text += "first = true\n";
    }
    let Known {
        name,
        policy,
        reported,
        floor,
        reported_floor,
        ..
    } = &entry.known;
    for (setting, value) in [
        ("name", name),
        ("policy", policy),
        ("reported_policy", reported),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "{setting} = {}", quoted(value));
        }
    }
    for (setting, floor) in [
        ("refuse_issued_before", floor),
        ("reported_refuse_issued_before", reported_floor),
    ] {
        if let Some(floor) = floor {
            let _ = writeln!(text, "{setting} = {}", quoted(&timestamp(*floor)));
        }
    }
    text.push('\n');
    Ok(text)
}

/// The lists of a scope.
fn lists(entries: &[Entry], active: &[ActiveCertificate]) -> CommandResult<String> {
    let mut lists: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let [enforce, report] = &mut lists;
    for each in active {
        let entry = entries.iter().find(|entry| {
            let mut all = entry.copies.iter().chain([&entry.known]);
            all.any(|known| known.id == each.certificate_id)
        });
        let entry = entry.ok_or_else(|| {
            Failure::new("the certificates changed while they were being read").hint("export again")
        })?;
        let (list, key) = match each.enforcement {
            Enforcement::Enforce => (&mut *enforce, quoted(&entry.key)),
            Enforcement::Report => (&mut *report, quoted(&entry.key)),
        };
        // A copy may be active beside it.
        if !list.contains(&key) {
            list.push(key);
        }
    }
    report.retain(|key| !enforce.contains(key));
    let mut text = format!("enforce = [{}]\n", enforce.join(", "));
    if !report.is_empty() {
        let _ = writeln!(text, "report = [{}]", report.join(", "));
    }
    Ok(text)
}

/// An assertion, with its chain in place.
fn assertion_section(assertion: &Assertion) -> String {
    let mut text = format!("\n[assertions.{}]\n", quoted_key(&assertion.name));
    if let Some(project) = &assertion.project_id {
        let _ = writeln!(text, "project = {}", quoted(project.as_str()));
    }
    let _ = writeln!(text, "expect = {}", quoted(&assertion.expect.to_string()));
    if let Some(code) = &assertion.code {
        let _ = writeln!(text, "code = {}", quoted(&code.to_string()));
    }
    if let Some(reason) = &assertion.reason {
        let _ = writeln!(text, "reason = {}", quoted(reason));
    }
    if assertion.chain.is_empty() {
        text += "no_certificate = true\n";
    } else {
        let _ = writeln!(text, "chain_pem = '''\n{}'''", chain::pem(&assertion.chain));
    }
    text
}

/// A project's id as a TOML key.
fn project_key(id: &ProjectId) -> String {
    match id.as_str().parse::<ProjectId>() {
        Ok(own) => own.to_string(),
        Err(_) => quoted_key(id.as_str()),
    }
}
