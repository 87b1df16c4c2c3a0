//! The files of the local CA, which tools are given.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use countersign_connect::{LocalCa, LocalCaError};
use countersign_server::store::Sources;
use data_encoding::HEXLOWER;
use time::OffsetDateTime;

use crate::{
    config::process_env,
    failure::{CommandResult, Failure},
    files::{private_directory, refuse_shared, write_private},
    output::note,
};

/// The variables that name a bundle in place of the system's, of which the first is taken.
const BUNDLES: [&str; 3] = ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"];

/// The local CA, and where it is.
pub(super) struct CaFiles {
    pub(super) ca: Arc<LocalCa>,
    /// The CA alone, for tools that add it to what they trust.
    pub(super) certificate: PathBuf,
    /// The roots that tools trust anyway, and the CA: for tools that trust nothing else than a file.
    pub(super) bundle: PathBuf,
    /// The CA and what `NODE_EXTRA_CA_CERTS` has named so far.
    pub(super) extra: PathBuf,
    /// What is removed at the end.
    temporary: Option<PathBuf>,
}

impl Drop for CaFiles {
    fn drop(&mut self) {
        if let Some(directory) = &self.temporary {
            // It holds nothing secret.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

impl CaFiles {
    /// Makes a CA for these hosts, or finds the one that is kept for them; and writes what tools need.
    pub(super) fn prepare(
        kept_in: Option<&Path>,
        hosts: &[&str],
        now: OffsetDateTime,
    ) -> CommandResult<Self> {
        let directory = match kept_in {
            Some(directory) => directory.to_owned(),
            None => temporary_directory()?,
        };
        let directory = private_directory(&directory)?;
        refuse_shared(&directory)?;
        let ca = match kept_in {
            Some(_) => kept(&directory, hosts, now)?,
            None => LocalCa::new(hosts, now).map_err(|error| cannot_vouch(&error))?,
        };
        let files = Self {
            certificate: directory.join("ca.pem"),
            bundle: directory.join("bundle.pem"),
            extra: directory.join("extra.pem"),
            temporary: kept_in.is_none().then(|| directory.clone()),
            ca: Arc::new(ca),
        };
        let pem = files.ca.pem();
        write_private(&files.certificate, pem)?;
        write_private(&files.bundle, &(trusted_anyway() + pem))?;
        let node = process_env("NODE_EXTRA_CA_CERTS").and_then(|file| readable(Path::new(&file)));
        write_private(&files.extra, &(node.unwrap_or_default() + pem))?;
        Ok(files)
    }
}

/// Says what is wrong with hosts that the CA cannot vouch for.
pub(super) fn cannot_vouch(error: &LocalCaError) -> Failure {
    Failure::new(error).hint("a host is a name such as `api.example.com`, or an address")
}

fn temporary_directory() -> CommandResult<PathBuf> {
    let mut random = [0; 8];
    (Sources::system().random)(&mut random)?;
    let name = format!("countersign-connect-{}", HEXLOWER.encode(&random));
    Ok(std::env::temp_dir().join(name))
}

/// The CA in a directory, if it is for the same hosts; else another.
fn kept(directory: &Path, hosts: &[&str], now: OffsetDateTime) -> CommandResult<LocalCa> {
    let (certificate, key) = (directory.join("ca.pem"), directory.join("ca.key"));
    let names = directory.join("ca.hosts");
    let mut wanted = hosts.to_vec();
    wanted.sort_unstable();
    let wanted = wanted.join("\n") + "\n";
    let files = [&names, &certificate, &key].map(|file| fs::read_to_string(file).ok());
    if let [Some(for_hosts), Some(certificate), Some(key)] = files
        && for_hosts == wanted
        && let Ok(ca) = LocalCa::from_pem(&certificate, &key)
    {
        return Ok(ca);
    }
    let ca = LocalCa::new(hosts, now).map_err(|error| cannot_vouch(&error))?;
    write_private(&key, &ca.key_pem())?;
    write_private(&certificate, ca.pem())?;
    write_private(&names, &wanted)?;
    Ok(ca)
}

/// The roots that tools trust without this: a file that takes the place of the system's roots must have
/// these too.
fn trusted_anyway() -> String {
    let named = BUNDLES.iter().filter_map(|name| process_env(name));
    let named = named.map(PathBuf::from).find_map(|file| readable(&file));
    let found = named.or_else(|| {
        let system = openssl_probe::probe().cert_file;
        system.and_then(|file| readable(&file))
    });
    found.unwrap_or_else(|| {
        note("warning: found no bundle of this system's roots, so tools trust the local CA alone; name one in `SSL_CERT_FILE`");
        String::new()
    })
}

/// A file's text, with the end of its last line.
fn readable(file: &Path) -> Option<String> {
    let mut text = fs::read_to_string(file).ok()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text)
}
