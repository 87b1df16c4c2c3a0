//! Which servers are meant: one by its URL, or hosts behind a proxy.

use std::path::PathBuf;

use clap::Args;
use countersign_connect::Server;
use countersign_tls::CertificateFiles;
use http::Uri;

use super::ca_files::CaFiles;
use crate::{
    clock,
    config::process_env,
    failure::{CommandResult, Failure},
};

use std::sync::Arc;

/// The port of `https`.
const DEFAULT_PORT: u16 = 443;

#[derive(Args)]
#[command(next_help_heading = "As a proxy")]
pub(super) struct HostFlags {
    /// Be an HTTP proxy, for tools that are set up by `HTTPS_PROXY`
    #[arg(long, requires = "host")]
    proxy: bool,
    /// A host to add the certificate for, with a certificate of its own if one is given: `NAME[:PORT][=CERT,KEY]`; may be repeated
    #[arg(long, value_name = "HOST", requires = "proxy", value_parser = host)]
    host: Vec<HostFlag>,
    /// Refuse tunnels to all other hosts; by default they are passed on as they are
    #[arg(long, requires = "proxy")]
    only_hosts: bool,
    /// Directory to keep the local CA in, so that tools can be given it once [default: a new CA each time, its key in memory alone]
    #[arg(long, value_name = "DIR", requires = "proxy")]
    ca_dir: Option<PathBuf>,
}

/// A host that a certificate is added for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostFlag {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) certificate: Option<CertificateFiles>,
}

/// What requests are sent to.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) hosts: Vec<HostFlag>,
    /// The path of the URL, if it has one.
    pub(super) path: String,
}

impl HostFlags {
    pub(super) const fn is_proxy(&self) -> bool {
        self.proxy
    }

    /// The hosts, of the URL or of the flags.
    pub(super) fn base(&self, url: Option<&str>) -> CommandResult<Base> {
        if self.proxy {
            return Ok(Base {
                hosts: self.host.clone(),
                path: String::new(),
            });
        }
        let url = url
            .map(str::to_owned)
            .or_else(|| process_env("COUNTERSIGN_GATEWAY_URL"));
        let url = url.ok_or_else(|| {
            Failure::usage("no server: give its URL, or `--proxy` with `--host NAME`")
                .hint("`countersign connect https://api.example.com/v1`; `. countersign-data/dev.env` sets that of `dev`")
        })?;
        server_url(&url)
    }

    /// The files of the local CA, for a proxy.
    pub(super) fn ca_files(&self, servers: &[Arc<Server>]) -> CommandResult<Option<CaFiles>> {
        if !self.proxy {
            return Ok(None);
        }
        let hosts: Vec<&str> = servers.iter().map(|server| server.host()).collect();
        CaFiles::prepare(self.ca_dir.as_deref(), &hosts, clock::now()).map(Some)
    }

    /// Whether tunnels lead to other hosts. Without a token, they would for everybody.
    pub(super) const fn tunnels_to_others(&self, has_token: bool) -> bool {
        has_token && !self.only_hosts
    }
}

/// Reads the URL of a server.
fn server_url(url: &str) -> CommandResult<Base> {
    let refused = |why: &str| {
        Failure::usage(format_args!("the URL of the server {why}"))
            .hint("it must look like `https://api.example.com/v1`")
    };
    let bare = url.trim().trim_end_matches('/');
    let uri: Uri = bare.parse().map_err(|_| refused("is none"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("https"), Some(authority)) if !authority.as_str().contains('@') => {
            if uri.query().is_some() {
                return Err(refused("has a query"));
            }
            let path = uri.path().trim_end_matches('/').to_owned();
            let host = HostFlag {
                host: authority.host().to_owned(),
                port: authority.port_u16().unwrap_or(DEFAULT_PORT),
                certificate: None,
            };
            Ok(Base {
                hosts: vec![host],
                path,
            })
        }
        (Some("http"), _) => Err(refused(
            "is `http://`: without TLS there is nobody to show a certificate to",
        )),
        (Some("https"), Some(_)) => Err(refused("has a user name")),
        _ => Err(refused("is not `https://`")),
    }
}

/// Reads `NAME[:PORT][=CERT,KEY]`.
fn host(text: &str) -> Result<HostFlag, String> {
    let wanted = "write `NAME`, `NAME:PORT` or `NAME=cert.pem,key.pem`";
    let (authority, files) = match text.split_once('=') {
        Some((authority, files)) => (authority, Some(files)),
        None => (text, None),
    };
    let (host, port) = authority_of(authority).ok_or(wanted)?;
    let certificate = files
        .map(|files| {
            let (certificate, key) = files.split_once(',').ok_or(wanted)?;
            Ok::<_, &str>(CertificateFiles {
                certificate: certificate.into(),
                key: key.into(),
            })
        })
        .transpose()?;
    Ok(HostFlag {
        host,
        port: port.unwrap_or(DEFAULT_PORT),
        certificate,
    })
}

/// A host and a port, if it has one.
pub(super) fn authority_of(text: &str) -> Option<(String, Option<u16>)> {
    let uri: Uri = format!("https://{text}/").parse().ok()?;
    let authority = uri.authority()?;
    let is_bare = authority.as_str() == text && !text.contains('@') && uri.path() == "/";
    let port = authority.port_u16();
    // A port that is none would be taken for the usual one.
    let has_port = text
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.ends_with(']'));
    (is_bare && has_port == port.is_some()).then(|| (authority.host().to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_a_port_and_a_certificate() {
        for (text, name, port, files) in [
            ("api.example.com", "api.example.com", 443, None),
            ("localhost:8443", "localhost", 8443, None),
            ("[::1]:8443", "[::1]", 8443, None),
            (
                "a.example=c.pem,k.pem",
                "a.example",
                443,
                Some(("c.pem", "k.pem")),
            ),
        ] {
            let read = host(text).unwrap();
            let read_files = read.certificate.as_ref().map(|files| {
                let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
                (text(&files.certificate), text(&files.key))
            });
            let files = files.map(|(one, other): (&str, &str)| (one.to_owned(), other.to_owned()));
            assert_eq!(
                (read.host.as_str(), read.port, read_files),
                (name, port, files)
            );
        }
        for text in [
            "",
            "a.example:x",
            "a.example=c.pem",
            "https://a.example",
            "u@a.example",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_url_of_a_server_has_tls_and_may_have_a_path() {
        let base = server_url("https://api.example.com:8443/v1/").unwrap();
        let [only] = base.hosts.as_slice() else {
            panic!("{base:?}");
        };
        assert_eq!((only.host.as_str(), only.port), ("api.example.com", 8443));
        assert_eq!(base.path, "/v1");
        assert_eq!(server_url("https://api.example.com").unwrap().path, "");
        for (url, says) in [
            ("http://api.example.com", "without TLS"),
            ("api.example.com", "is not `https://`"),
            ("https://u:p@api.example.com", "has a user name"),
            ("https://api.example.com/?a=b", "has a query"),
        ] {
            let refused = server_url(url).unwrap_err();
            assert!(refused.message().contains(says), "{url}: {refused}");
            assert!(!refused.to_string().contains("u:p"));
        }
    }
}
