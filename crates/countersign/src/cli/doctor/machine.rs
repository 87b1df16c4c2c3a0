//! What lies on this machine: the configuration, the data directory, certificates and keys.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_tls::CertificateFiles;
use countersign_verify::certificate::inspect;

use super::Check;
use crate::{
    cli::api::ApiOptions,
    clock,
    config::{Database, Effective},
    output::moment,
    serve::{StoreOptions, has_database},
};

/// A certificate that ends within this many seconds should be replaced: two weeks.
const SOON: u64 = 14 * 24 * 60 * 60;

/// The configuration, and what it names.
pub(super) fn checks(options: &StoreOptions) -> Vec<Check> {
    let effective = match options.effective(Vec::new()) {
        Ok(effective) => effective,
        Err(failure) => return vec![Check::failed("configuration", &failure)],
    };
    let detail = match &effective.file {
        Some(path) => format!("`{}` can be used", path.display()),
        None => "no file, so the defaults and the environment".to_owned(),
    };
    let mut checks = vec![Check::ok("configuration", detail)];
    checks.push(match effective.database() {
        Ok(Database::Sqlite(directory)) => data_directory(&directory),
        Ok(Database::Postgres(_)) => Check::ok("store", "PostgreSQL; not asked from here"),
        Err(failure) => Check::failed("store", &failure),
    });
    checks.extend(server_certificate(&effective));
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
            "only a server here needs it; `countersign serve` makes it",
        );
    }
    let probe = directory.join(format!(".doctor-{}", std::process::id()));
    if let Err(error) = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)) {
        let refused = format!("`{shown}` cannot be written: {error}");
        return Check::fail(
            NAME,
            refused,
            "a server here needs it; `--data-dir` names another",
        );
    }
    let database = if has_database(directory) {
        "with"
    } else {
        "without"
    };
    Check::ok(
        NAME,
        format!("`{shown}` can be written, {database} a database"),
    )
}

fn server_certificate(effective: &Effective) -> Option<Check> {
    let certificate = effective.path("serve.tls_certificate")?;
    let key = effective.path("serve.tls_key")?;
    Some(pair("server certificate", certificate, key))
}

/// The client certificate, when there is one.
pub(super) fn client_certificate(api: &ApiOptions) -> Option<Check> {
    let (certificate, key): (PathBuf, PathBuf) = api.client_files()?;
    Some(pair("client certificate", certificate, key))
}

fn pair(name: &'static str, certificate: PathBuf, key: PathBuf) -> Check {
    let files = CertificateFiles { certificate, key };
    if let Err(error) = files.check() {
        return Check::fail(name, error.to_string(), PEM);
    }
    let shown = files.certificate.display();
    let text = match fs::read_to_string(&files.certificate) {
        Ok(text) => text,
        Err(error) => {
            return Check::fail(name, format!("cannot read `{shown}`: {error}"), PEM);
        }
    };
    let Some(facts) = inspect(&text, 0).facts else {
        return Check::fail(name, format!("`{shown}` is no certificate"), PEM);
    };
    let (now, expires_at) = (clock::unix_seconds(), facts.not_after().clamped());
    let until = format!(
        "`{shown}` and its key match; valid until {}",
        moment(expires_at)
    );
    if expires_at < now {
        let expired = format!("`{shown}` expired at {}", moment(expires_at));
        return Check::fail(name, expired, "have a new one issued");
    }
    if expires_at < now.saturating_add(SOON) {
        return Check::warn(name, until, "have a new one issued");
    }
    Check::ok(name, until)
}

const PEM: &str = "both are PEM files: the certificate first, then its intermediates; and its key";
