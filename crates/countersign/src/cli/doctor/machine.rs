//! Checks this machine: the configuration, the data directory, certificates and keys.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_tls::CertificateFiles;
use countersign_verify::certificate::inspect;

use super::check::Check;
use crate::{
    cli::api::{ApiOptions, block_on},
    clock,
    config::{Database, Settings},
    database::{self, DatabaseOptions, no_space},
    failure::{CommandResult, Failure},
    files::shell_quoted,
    output::timestamp,
    serve::tls_failure,
};

/// A certificate that expires within this many seconds should be replaced: two weeks.
const SOON: u64 = 14 * 24 * 60 * 60;

/// The configuration, and the files that it names.
pub(super) fn checks(options: &DatabaseOptions) -> Vec<Check> {
    let configuration = match options.configuration(Vec::new()) {
        Ok(configuration) => configuration,
        Err(failure) => return vec![Check::failed("configuration", &failure)],
    };
    let detail = match &configuration.file {
        Some(path) => format!("`{}` is valid", path.display()),
        None => "no file; defaults and environment variables only".to_owned(),
    };
    let mut checks = vec![Check::ok("configuration", detail)];
    checks.push(match configuration.settings.database.resolve() {
        Ok(Database::Sqlite(directory)) => data_directory(&directory),
        Ok(database @ Database::Postgres { .. }) => postgres(&database),
        Err(failure) => Check::failed("database", &failure),
    });
    checks.extend(empty_key_files());
    checks.extend(server_certificate(&configuration.settings));
    checks
}

fn data_directory(directory: &Path) -> Check {
    const NAME: &str = "data directory";
    let shown = directory.display();
    if !directory.exists() {
        let absent = format!("`{shown}` does not exist");
        return Check::warn(
            NAME,
            absent,
            "only a server on this machine needs it; `countersign serve` creates it",
        );
    }
    if directory.is_file() {
        let file = format!("`{shown}` is a file, not a directory");
        return Check::fail(
            NAME,
            file,
            "give the directory that it is in with `--data-dir`",
        );
    }
    match write_probe(directory) {
        Err(failure) => return Check::failed(NAME, &failure),
        Ok(()) => {
            if let Some(failure) = no_space(directory) {
                return Check::failed(NAME, &failure);
            }
        }
    }
    if !database::exists_in(directory) {
        return Check::ok(NAME, format!("`{shown}` is writable, without a database"));
    }
    let database = Database::Sqlite(directory.to_owned());
    match block_on(database::look_at(&database)) {
        Ok(found) => Check::ok(
            NAME,
            format!("`{shown}` is writable, with a database: {found}"),
        ),
        Err(failure) => Check::failed("database", &failure),
    }
}

fn postgres(database: &Database) -> Check {
    match block_on(database::look_at(database)) {
        Ok(found) => Check::ok("database", format!("PostgreSQL answers: {found}")),
        Err(failure) => Check::failed("database", &failure),
    }
}

/// Writing is the only sure test: modes say nothing of read-only mounts.
pub(super) fn write_probe(directory: &Path) -> CommandResult {
    let probe = directory.join(format!(".doctor-{}", std::process::id()));
    let written = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    written.map_err(|error| {
        let shown = directory.display();
        let failure = Failure::new(format_args!("`{shown}` is not writable: {error}"));
        failure.hint(format!(
            "see who may write there: `ls -ld {}`; a server on this machine needs to",
            shell_quoted(&shown.to_string())
        ))
    })
}

/// Key files that hold no key: an earlier version of this program left them behind when a command
/// failed, and other programs do.
pub(super) fn empty_key_files() -> Option<Check> {
    let entries = fs::read_dir(".").ok()?;
    let is_empty = |path: &PathBuf| {
        let is_key = path.extension().is_some_and(|extension| extension == "key");
        is_key && fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0)
    };
    let found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(PathBuf::from(entry.ok()?.file_name())))
        .filter(is_empty)
        .collect();
    if found.is_empty() {
        return None;
    }
    let quoted: Vec<String> = found
        .iter()
        .map(|path| shell_quoted(&path.display().to_string()))
        .collect();
    let quoted = quoted.join(" ");
    Some(Check::warn(
        "key files",
        format!("empty, so there is no key in them: {quoted}"),
        &format!("remove them: `rm {quoted}`"),
    ))
}

fn server_certificate(settings: &Settings) -> Option<Check> {
    let files = settings.serve.tls.clone()?;
    Some(pair("server certificate", files))
}

/// The client certificate, when there is one.
pub(super) fn client_certificate(api: &ApiOptions) -> Option<Check> {
    let (certificate, key): (PathBuf, PathBuf) = api.client_files()?;
    Some(pair(
        "client certificate",
        CertificateFiles { certificate, key },
    ))
}

pub(super) fn pair(name: &'static str, files: CertificateFiles) -> Check {
    if let Err(error) = files.check() {
        return Check::failed(name, &tls_failure(&error));
    }
    let shown = files.certificate.display();
    let text = match fs::read_to_string(&files.certificate) {
        Ok(text) => text,
        Err(error) => {
            return Check::fail(name, format!("cannot read `{shown}`: {error}"), PEM_HINT);
        }
    };
    let Some(facts) = inspect(&text, 0).facts else {
        return Check::fail(name, format!("`{shown}` is not a certificate"), PEM_HINT);
    };
    let (now, expires_at) = (clock::unix_seconds(), facts.not_after().clamped());
    let until = format!(
        "`{shown}` and its key match; valid until {}",
        timestamp(expires_at)
    );
    if expires_at < now {
        let expired = format!("`{shown}` expired at {}", timestamp(expires_at));
        return Check::fail(name, expired, "get a new certificate issued");
    }
    if expires_at < now.saturating_add(SOON) {
        return Check::warn(name, until, "get a new certificate issued");
    }
    Check::ok(name, until)
}

const PEM_HINT: &str =
    "both are PEM files: one holds the certificate, then its intermediates; the other its key";
