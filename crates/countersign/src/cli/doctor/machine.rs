//! Checks this machine: the configuration, the data directory, certificates and keys.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_tls::CertificateFiles;
use countersign_verify::certificate::inspect;

use super::check::Check;
use crate::{
    cli::api::ApiOptions,
    clock,
    config::{Database, Settings},
    database::{self, DatabaseOptions},
    output::timestamp,
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
        Ok(Database::Postgres(_)) => Check::ok("database", "PostgreSQL; not contacted"),
        Err(failure) => Check::failed("database", &failure),
    });
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
    // Writing is the only sure test: modes say nothing of read-only mounts or full disks.
    let probe = directory.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)) {
        let refused = format!("`{shown}` is not writable: {error}");
        return Check::fail(
            NAME,
            refused,
            "a server on this machine needs to write there; `--data-dir` chooses another",
        );
    }
    let database = if database::exists_in(directory) {
        "with"
    } else {
        "without"
    };
    Check::ok(
        NAME,
        format!("`{shown}` is writable, {database} a database"),
    )
}

fn server_certificate(settings: &Settings) -> Option<Check> {
    let files = settings.serve.tls.clone()?;
    Some(pair("server certificate", files.certificate, files.key))
}

/// The client certificate, when there is one.
pub(super) fn client_certificate(api: &ApiOptions) -> Option<Check> {
    let (certificate, key): (PathBuf, PathBuf) = api.client_files()?;
    Some(pair("client certificate", certificate, key))
}

fn pair(name: &'static str, certificate: PathBuf, key: PathBuf) -> Check {
    let files = CertificateFiles { certificate, key };
    if let Err(error) = files.check() {
        return Check::fail(name, error.to_string(), PEM_HINT);
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
