//! How servers are reached, and what they are shown.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use countersign_connect::{ApiKey, Server, ServerError, ServerOptions, Trust, Via, ViaError};
use countersign_tls::CertificateFiles;
use countersign_types::secret::Secret;

use super::host_flags::{Base, HostFlags, authority_of};
use crate::{
    config::{process_env, secret_file},
    failure::{CommandResult, Failure},
    serve::tls_failure,
};

#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerFlags {
    /// PEM of the client certificate to add, and its intermediates [env: OPENAI_MTLS_CLIENT_CERT_FILE]
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_certificate: Option<PathBuf>,
    /// PEM of the client certificate's private key [env: OPENAI_MTLS_CLIENT_KEY_FILE]
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// PEM of root certificates to trust besides the public ones [env: COUNTERSIGN_SERVER_CA]
    #[arg(long, value_name = "FILE")]
    server_ca: Option<PathBuf>,
    /// File with an API key to set in each request, in the place of the tool's
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_variable")]
    api_key_file: Option<PathBuf>,
    /// Variable with an API key to set in each request, such as `OPENAI_API_KEY`
    #[arg(long, value_name = "NAME")]
    api_key_variable: Option<String>,
    /// Another address to connect to: `ADDRESS:PORT`, or `NAME=ADDRESS:PORT` for one of several hosts; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = other_address)]
    to: Vec<OtherAddress>,
    /// Speak HTTP/2 to the server, except for upgrades such as WebSocket
    #[arg(long)]
    http2: bool,
    /// HTTP proxy that leads to the server, `http://HOST:PORT` or `https://HOST:PORT`, or `none` [env: HTTPS_PROXY, NO_PROXY]
    #[arg(long, value_name = "URL")]
    via: Option<String>,
    /// PEM of root certificates to trust for an `https://` proxy besides the public ones [env: COUNTERSIGN_VIA_CA]
    #[arg(long, value_name = "FILE")]
    via_ca: Option<PathBuf>,
}

/// Another address of a host.
#[derive(Debug, Clone)]
struct OtherAddress {
    /// Of which host, unless there is but one.
    of: Option<String>,
    host: String,
    port: u16,
}

fn other_address(text: &str) -> Result<OtherAddress, String> {
    let (of, address) = match text.split_once('=') {
        Some((of, address)) => (Some(of.to_owned()), address),
        None => (None, text),
    };
    match authority_of(address) {
        Some((host, Some(port))) => Ok(OtherAddress { of, host, port }),
        _ => Err("write `ADDRESS:PORT` or `NAME=ADDRESS:PORT`".to_owned()),
    }
}

impl ServerFlags {
    /// The servers with all that is needed to reach them.
    pub(super) fn servers(
        &self,
        base: &Base,
        hosts: &HostFlags,
    ) -> CommandResult<Vec<ServerOptions>> {
        let several = base.hosts.len() > 1;
        for to in &self.to {
            let known = |of: &String| base.hosts.iter().any(|host| host.host == *of);
            match &to.of {
                Some(of) if !known(of) => {
                    return Err(Failure::usage(format_args!(
                        "`--to {of}=...`: there is no such host"
                    ))
                    .hint("name one of those in `--host`"));
                }
                None if several => {
                    return Err(Failure::usage("`--to` does not say which host is meant")
                        .hint(format!("`--to NAME={}:{}`", to.host, to.port)));
                }
                _ => {}
            }
        }
        let usual = self.files();
        let servers = base.hosts.iter().map(|host| {
            let certificate = host.certificate.clone().or_else(|| usual.clone());
            let certificate = certificate.ok_or_else(|| no_certificate(hosts.is_proxy()))?;
            let to = self
                .to
                .iter()
                .find(|to| to.of.as_ref().is_none_or(|of| *of == host.host));
            Ok(ServerOptions {
                host: host.host.clone(),
                port: host.port,
                at: to.map(|to| (to.host.clone(), to.port)),
                certificate,
                trust: self.trust(),
                http2: self.http2,
            })
        });
        servers.collect()
    }

    /// The client certificate that flags or variables give.
    fn files(&self) -> Option<CertificateFiles> {
        let flags = self.client_certificate.clone().zip(self.client_key.clone());
        let env = |certificate, key| {
            let path = |name| process_env(name).map(PathBuf::from);
            path(certificate).zip(path(key))
        };
        let files = flags
            .or_else(|| {
                env(
                    "OPENAI_MTLS_CLIENT_CERT_FILE",
                    "OPENAI_MTLS_CLIENT_KEY_FILE",
                )
            })
            .or_else(|| env("OPENAI_MTLS_CERTIFICATE_CHAIN", "OPENAI_MTLS_PRIVATE_KEY"));
        files.map(|(certificate, key)| CertificateFiles { certificate, key })
    }

    fn trust(&self) -> Trust {
        let path = |name| process_env(name).map(PathBuf::from);
        let additional = self
            .server_ca
            .clone()
            .or_else(|| path("COUNTERSIGN_SERVER_CA"));
        Trust {
            replacement: path("OPENAI_MTLS_CA_BUNDLE"),
            additional: additional.into_iter().collect(),
        }
    }

    /// The API key to set in requests. To check whether one would pass, the tool's own will do.
    pub(super) fn key(&self, checks: bool) -> CommandResult<Option<ApiKey>> {
        if let Some(file) = &self.api_key_file {
            // For its message alone.
            secret_file(file)?;
            let key = ApiKey::from_file(file.clone());
            return key.map(Some).map_err(|error| tls_failure(&error));
        }
        let fixed = |name: &str, value: String| {
            ApiKey::fixed(&Secret::new(value.trim())).ok_or_else(|| {
                Failure::usage(format_args!("`{name}` does not hold an API key"))
                    .hint("give the key alone, without quotes or `Bearer `")
            })
        };
        match &self.api_key_variable {
            Some(name) => {
                let value = process_env(name);
                let unset = || {
                    Failure::usage(format_args!("`{name}` is not set"))
                        .hint(format!("`export {name}=sk-...`, or `--api-key-file FILE`"))
                };
                fixed(name, value.ok_or_else(unset)?).map(Some)
            }
            None if checks => {
                const USUAL: &str = "OPENAI_API_KEY";
                process_env(USUAL)
                    .map(|value| fixed(USUAL, value))
                    .transpose()
            }
            None => Ok(None),
        }
    }

    /// The proxy that leads to servers.
    pub(super) fn via(&self) -> CommandResult<Via> {
        let of_environment = || process_env("COUNTERSIGN_VIA_CA").map(PathBuf::from);
        let ca = self.via_ca.clone().or_else(of_environment);
        let via = match self.via.as_deref() {
            None => Via::environment(ca),
            Some("none") => Ok(Via::none()),
            Some(url) => Via::proxy(url, ca),
        };
        via.map_err(|error| match error {
            ViaError::Tls(error) => tls_failure(&error),
            error => Failure::usage(error),
        })
    }
}

fn no_certificate(is_proxy: bool) -> Failure {
    let failure = Failure::usage("no client certificate to add");
    if is_proxy {
        return failure.hint("`--host NAME=cert.pem,key.pem`, or `--client-certificate` and `--client-key` for all hosts");
    }
    failure.hint("`--client-certificate FILE --client-key FILE`, or `OPENAI_MTLS_CLIENT_CERT_FILE` and `OPENAI_MTLS_CLIENT_KEY_FILE`")
}

/// Reads what the servers need; connects to none yet.
pub(super) fn open(servers: &[ServerOptions], via: &Via) -> CommandResult<Vec<Arc<Server>>> {
    let opened = servers.iter().map(|options| {
        Server::new(options, via)
            .map(Arc::new)
            .map_err(|error| match error {
                ServerError::Tls(error) => tls_failure(&error),
                ServerError::Target(error) => Failure::usage(error),
                ServerError::Via(error) => Failure::usage(error)
                    .hint("`--via none` goes without one, whatever `HTTPS_PROXY` says"),
            })
    });
    opened.collect()
}
