//! A listener for decisions, as it is configured and checked.

use std::sync::Arc;

use countersign_tls::{
    CertificateFiles, Reloading, ReloadingServerConfig, aes128_first, roots_from_file,
};
use http::HeaderName;
use metrics::counter;
use rustls::{
    ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::Semaphore;

use super::{
    asker::{Asker, Secrets},
    certificate::Fault,
    listening::{CannotListen, DoorSocket},
};
use crate::{
    accepting::tls::ChainLimits,
    options::{
        AskedBy, CertificateForm, DecisionAddress, DecisionProtocol, Decisions, GatewayOptions,
        ProxySecret, ReceiptPlace,
    },
};

/// Connections of proxies at once.
const MAX_CONNECTIONS: usize = 1_024;

/// Why a listener for decisions cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("`decisions` at `{listen}`: {problem}")]
pub(crate) struct DoorError {
    listen: DecisionAddress,
    /// With a hint, where there is one.
    problem: String,
}

/// A listener for decisions.
#[derive(Debug)]
pub(crate) struct Door {
    pub(super) protocol: DecisionProtocol,
    pub(super) form: CertificateForm,
    pub(super) asker: Asker,
    pub(super) chains: ChainLimits,
    pub(super) tls: Option<ReloadingServerConfig>,
    pub(super) slots: Arc<Semaphore>,
    /// Where the receipts of its verdicts go.
    pub(super) receipt: Vec<ReceiptPlace>,
}

/// A listener for decisions that is open. Threads share it.
#[derive(Debug)]
pub(crate) struct OpenDoor {
    pub(crate) door: Arc<Door>,
    pub(crate) socket: DoorSocket,
    /// Where it is; of a port that was free to pick, which.
    pub(crate) address: DecisionAddress,
}

/// Opens all that are configured.
pub(crate) fn open(options: &GatewayOptions) -> Result<Vec<OpenDoor>, DoorError> {
    let doors = options.decisions.iter().map(|each| {
        open_one(each, options).map_err(|problem| DoorError {
            listen: each.listen.clone(),
            problem,
        })
    });
    doors.collect()
}

fn open_one(decisions: &Decisions, options: &GatewayOptions) -> Result<OpenDoor, String> {
    let door = Arc::new(Door::new(decisions, options)?);
    let bound = DoorSocket::bind(&decisions.listen);
    let (socket, address) = bound.map_err(|error: CannotListen| error.to_string())?;
    Ok(OpenDoor {
        door,
        socket,
        address,
    })
}

impl Door {
    fn new(decisions: &Decisions, options: &GatewayOptions) -> Result<Self, String> {
        let asked_by =
            check(decisions).map_err(|(problem, hint)| format!("{problem}\nhint: {hint}"))?;
        let of_files = |error: countersign_tls::Error| error.to_string();
        Ok(Self {
            protocol: decisions.protocol,
            form: decisions.certificate,
            asker: asker(asked_by).map_err(of_files)?,
            chains: ChainLimits::new(&options.limits),
            tls: tls(decisions, asked_by, options).map_err(of_files)?,
            slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            receipt: decisions.receipt.clone(),
        })
    }

    /// Counts what arrived and could not be judged.
    pub(super) fn count_fault(&self, fault: Fault) {
        self.count_refused(fault.word());
    }

    /// Counts what arrived from somebody who is not the proxy.
    pub(super) fn count_unproven(&self) {
        self.count_refused("proxy_unproven");
    }

    fn count_refused(&self, reason: &'static str) {
        let door = self.protocol.word();
        counter!("countersign_gateway_decision_faults_total", "door" => door, "reason" => reason)
            .increment(1);
    }

    /// Reads what is kept in files again if it changed, and says what is wrong with it.
    pub(crate) fn reload(&self) -> Option<String> {
        let tls = self.tls.as_ref();
        let reloaded = [
            tls.map_or(Ok(false), Reloading::reload_if_changed),
            self.asker.reload(),
        ];
        for each in reloaded {
            match each {
                Ok(false) => {}
                Ok(true) => tracing::info!("files of `decisions` reloaded"),
                Err(error) => {
                    tracing::error!(%error, "cannot reload a file of `decisions`; the old one stays in use");
                }
            }
        }
        let tls = tls.and_then(Reloading::trouble);
        tls.or_else(|| self.asker.trouble())
    }
}

#[cfg(test)]
impl Door {
    /// A door that nobody knocks at.
    pub(super) fn of(protocol: DecisionProtocol, form: CertificateForm) -> Self {
        Self {
            protocol,
            form,
            asker: Asker::UnixUsers(Vec::new()),
            chains: ChainLimits::new(&crate::options::Limits::default()),
            tls: None,
            slots: Arc::new(Semaphore::new(1)),
            receipt: Vec::new(),
        }
    }
}

/// Whether the settings go together.
fn check(decisions: &Decisions) -> Result<&AskedBy, (String, &'static str)> {
    let is_unix = matches!(decisions.listen, DecisionAddress::Unix(_));
    let Some(asked_by) = &decisions.asked_by else {
        let hint = "set `asked_by` to `client_certificate`, `secret` or `unix_users`: docs/decision-service.md";
        let problem = "nothing says how the proxy that asks proves itself";
        return Err((problem.to_owned(), hint));
    };
    let is_grpc = decisions.protocol == DecisionProtocol::EnvoyGrpc;
    if decisions.certificate == CertificateForm::EnvoyAttributes && !is_grpc {
        let problem = "`envoy_attributes` comes with `protocol = \"envoy_grpc\"` only";
        return Err((problem.to_owned(), "use `certificate = \"xfcc_text\"`"));
    }
    if is_unix && decisions.tls {
        let problem = "`tls` on a Unix socket";
        return Err((problem.to_owned(), "leave `tls` out"));
    }
    match (asked_by, &decisions.listen) {
        (AskedBy::UnixUsers(users), DecisionAddress::Unix(_)) if users.is_empty() => {
            let problem = "`unix_users` is empty: nobody could ask";
            Err((
                problem.to_owned(),
                "list the user that the proxy runs as: `id -u www-data`",
            ))
        }
        (AskedBy::UnixUsers(_), DecisionAddress::Tcp(_)) => {
            let problem = "`unix_users` needs a Unix socket";
            Err((
                problem.to_owned(),
                "set `listen = \"unix:/run/countersign/decisions.sock\"`",
            ))
        }
        (AskedBy::ClientCertificate(_), DecisionAddress::Unix(_)) => {
            let problem = "`client_certificate` needs TLS, which a Unix socket has none of";
            Err((
                problem.to_owned(),
                "set `asked_by = { unix_users = [UID] }`",
            ))
        }
        (AskedBy::Secret(_), DecisionAddress::Tcp(address))
            if !decisions.tls && !address.ip().to_canonical().is_loopback() =>
        {
            let problem =
                "the proxy's secret and its clients' keys would cross the network in the clear";
            Err((
                problem.to_owned(),
                "set `tls = true`, or listen on `127.0.0.1`",
            ))
        }
        (AskedBy::Secret(ProxySecret { header, .. }), _) if !is_free(header) => {
            let problem = format!("`{header}` cannot be the header of a secret");
            Err((
                problem,
                "leave `header` out: it is `x-countersign-proxy-secret`",
            ))
        }
        _ => Ok(asked_by),
    }
}

/// Whether a header may carry the secret: it means nothing else.
fn is_free(header: &str) -> bool {
    let name = HeaderName::try_from(header);
    name.is_ok_and(|name| name.as_str().starts_with("x-"))
}

fn asker(asked_by: &AskedBy) -> Result<Asker, countersign_tls::Error> {
    Ok(match asked_by {
        AskedBy::ClientCertificate(certificate) => Asker::ClientCertificate {
            names: certificate.names.clone(),
        },
        AskedBy::Secret(ProxySecret { file, header }) => {
            let read = file.clone();
            Asker::Secret {
                // Checked before.
                header: HeaderName::try_from(header.as_str())
                    .unwrap_or(HeaderName::from_static("x-countersign-proxy-secret")),
                secrets: Reloading::load(vec![file.clone()], move || Secrets::read(&read))?,
            }
        }
        AskedBy::UnixUsers(users) => Asker::UnixUsers(users.clone()),
    })
}

fn tls(
    decisions: &Decisions,
    asked_by: &AskedBy,
    options: &GatewayOptions,
) -> Result<Option<ReloadingServerConfig>, countersign_tls::Error> {
    let ca = match asked_by {
        AskedBy::ClientCertificate(certificate) => Some(certificate.ca.clone()),
        AskedBy::Secret(_) | AskedBy::UnixUsers(_) if !decisions.tls => return Ok(None),
        AskedBy::Secret(_) | AskedBy::UnixUsers(_) => None,
    };
    let own = CertificateFiles {
        certificate: options.certificate.clone(),
        key: options.private_key.clone(),
    };
    let files = [Some(&own.certificate), Some(&own.key), ca.as_ref()];
    let files = files.into_iter().flatten().cloned().collect();
    let alpn: &[u8] = match decisions.protocol {
        DecisionProtocol::EnvoyGrpc => b"h2",
        _ => b"http/1.1",
    };
    let build = move || {
        let clients = ca.as_deref().map(|ca| verifier(roots_from_file(ca)?));
        let mut config =
            countersign_tls::server_config(aes128_first(), &own, clients.transpose()?)?;
        config.alpn_protocols = vec![alpn.to_vec()];
        // Proxies keep their connections; each new one proves itself anew.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok::<ServerConfig, countersign_tls::Error>(config)
    };
    ReloadingServerConfig::load(files, build).map(Some)
}

fn verifier(
    roots: rustls::RootCertStore,
) -> Result<Arc<dyn ClientCertVerifier>, countersign_tls::Error> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), aes128_first());
    builder
        .build()
        .map_err(|error| countersign_tls::Error::Setup(rustls::Error::General(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_anyone_could_ask_is_refused_with_a_hint() {
        let users = r#"{"unix_users":[33]}"#;
        let secret = r#"{"secret":{"file":"s"}}"#;
        let certificate = r#"{"client_certificate":{"ca":"c"}}"#;
        for (listen, tls, asked_by, wrong) in [
            ("unix:/run/a.sock", false, users, None),
            ("127.0.0.1:1", false, secret, None),
            ("[::1]:1", false, secret, None),
            ("192.0.2.1:1", true, secret, None),
            ("0.0.0.0:1", false, certificate, None),
            ("unix:/run/a.sock", false, secret, None),
            ("127.0.0.1:1", false, "null", Some("nothing says how")),
            ("unix:/run/a.sock", false, "null", Some("nothing says how")),
            ("127.0.0.1:1", false, users, Some("needs a Unix socket")),
            (
                "unix:/run/a.sock",
                false,
                r#"{"unix_users":[]}"#,
                Some("is empty"),
            ),
            ("unix:/run/a.sock", false, certificate, Some("needs TLS")),
            ("unix:/run/a.sock", true, users, Some("`tls` on")),
            ("192.0.2.1:1", false, secret, Some("in the clear")),
            ("0.0.0.0:1", false, secret, Some("in the clear")),
            (
                "127.0.0.1:1",
                false,
                r#"{"secret":{"file":"s","header":"authorization"}}"#,
                Some("cannot be the header"),
            ),
        ] {
            let decisions: Decisions = serde_json::from_str(&format!(
                r#"{{"listen":"{listen}","protocol":"auth_request","certificate":"nginx_escaped_pem","tls":{tls},"asked_by":{asked_by}}}"#
            ))
            .unwrap();
            let found = check(&decisions).err().map(|(problem, _)| problem);
            match wrong {
                None => assert_eq!(found, None, "{listen} {asked_by}"),
                Some(wrong) => assert!(found.unwrap().contains(wrong), "{listen} {asked_by}"),
            }
        }
        for bad in ["localhost:1", "unix:run/a.sock", "/run/a.sock", "127.0.0.1"] {
            assert!(serde_json::from_str::<DecisionAddress>(&format!("\"{bad}\"")).is_err());
        }
    }
}
