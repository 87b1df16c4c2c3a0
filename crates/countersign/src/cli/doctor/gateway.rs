//! Checks a gateway of this machine: its configuration, its files, and whether the control plane takes
//! its key.

use std::path::{Path, PathBuf};

use countersign_client::Client;
use countersign_gateway::options::GatewayOptions;
use countersign_tls::CertificateFiles;

use super::{check::Check, machine};
use crate::{
    cli::api::block_on,
    config::{process_env, secret_file},
    database::no_space,
    failure::{CommandResult, Failure},
    gateway::Configured,
};

/// The file that a gateway reads unless told otherwise.
const DEFAULT_FILE: &str = "gateway.toml";

/// Everything about the gateway whose file is given, or is there; nothing where there is none.
pub(super) fn checks(given: Option<&Path>) -> Vec<Check> {
    let Some(path) = configuration(given) else {
        return Vec::new();
    };
    let options = match Configured::read(&path) {
        Ok(configured) => configured.options,
        Err(failure) => return vec![Check::failed("gateway configuration", &failure)],
    };
    let valid = format!("`{}` can be read", path.display());
    let files = CertificateFiles {
        certificate: options.certificate.clone(),
        key: options.private_key.clone(),
    };
    vec![
        Check::ok("gateway configuration", valid),
        machine::pair("gateway certificate", files),
        directory(&options.data_dir),
        control_plane(&options),
    ]
}

fn configuration(given: Option<&Path>) -> Option<PathBuf> {
    let named = given.map(Path::to_owned);
    named
        .or_else(|| process_env("COUNTERSIGN_GATEWAY_CONFIG").map(PathBuf::from))
        .or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
}

fn directory(directory: &Path) -> Check {
    const NAME: &str = "gateway data directory";
    let shown = directory.display();
    if !directory.exists() {
        return Check::ok(
            NAME,
            format!("`{shown}` does not exist yet; the gateway creates it"),
        );
    }
    match machine::write_probe(directory) {
        Err(failure) => Check::failed(NAME, &failure),
        Ok(()) => match no_space(directory) {
            Some(failure) => Check::failed(NAME, &failure),
            None => Check::ok(NAME, format!("`{shown}` is writable")),
        },
    }
}

fn control_plane(options: &GatewayOptions) -> Check {
    const NAME: &str = "gateway's control plane";
    match block_on(ask(options)) {
        Ok(()) => Check::ok(
            NAME,
            format!("{} takes the gateway's key", options.control_plane),
        ),
        Err(failure) => Check::failed(NAME, &failure),
    }
}

/// Asks for digests, which only a gateway key may.
async fn ask(options: &GatewayOptions) -> CommandResult {
    let mut builder = Client::builder()
        .base_url(&options.control_plane)
        .key(secret_file(&options.key_file)?)
        .max_retries(0);
    if let Some(ca) = &options.control_plane_ca {
        builder = builder.ca_bundle(ca);
    }
    match builder.build()?.countersign().bundle_digests_page(None).await {
        Ok(_) => Ok(()),
        Err(error) if error.status() == Some(401) => Err(Failure::new(&error).hint(format!(
            "put a gateway key into `{}`: `countersign gateway-key create --name NAME --key-file NEW` on the control plane",
            options.key_file.display()
        ))),
        Err(error) if error.status() == Some(404) => Err(Failure::new(&error)
            .hint("`control_plane` is the base URL with its version, such as `https://HOST:8085/v1`")),
        Err(error) => Err(error.into()),
    }
}
