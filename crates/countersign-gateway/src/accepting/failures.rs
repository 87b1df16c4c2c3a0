//! Connections that end before their first request: counted by reason, and logged a few at a time.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use countersign_types::UnixSeconds;
use metrics::{Counter, counter};
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

/// Why such a connection ended. The set is small and closed: it is a label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its sender may not send the PROXY header.
    ProxySender,
    /// There was no PROXY header, or a malformed one.
    ProxyHeader,
    /// The handshake took too long.
    TimedOut,
    /// The client closed the connection.
    Closed,
    /// An HTTP request without TLS.
    PlainHttp,
    /// Something else that is not TLS.
    NotTls,
    /// No version of TLS in common.
    Version,
    /// No cipher suite, group or signature scheme in common.
    Cipher,
    /// No application protocol (ALPN) in common.
    ApplicationProtocol,
    /// The client's certificate cannot be read, or the client does not hold its key.
    ClientCertificate,
    /// The client's chain exceeds the limits.
    ChainTooLarge,
    /// The client does not accept the server's certificate, and says so in an alert.
    ServerCertificate,
    /// Another alert of the client.
    ClientAlert,
    /// The client does not keep to TLS.
    Protocol,
    /// Anything else.
    Other,
}

impl Reason {
    const ALL: [Self; 15] = [
        Self::ProxySender,
        Self::ProxyHeader,
        Self::TimedOut,
        Self::Closed,
        Self::PlainHttp,
        Self::NotTls,
        Self::Version,
        Self::Cipher,
        Self::ApplicationProtocol,
        Self::ClientCertificate,
        Self::ChainTooLarge,
        Self::ServerCertificate,
        Self::ClientAlert,
        Self::Protocol,
        Self::Other,
    ];

    /// The metric's label.
    const fn label(self) -> &'static str {
        match self {
            Self::ProxySender => "proxy_protocol_sender",
            Self::ProxyHeader => "proxy_protocol_header",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::Version => "no_shared_version",
            Self::Cipher => "no_shared_cipher",
            Self::ApplicationProtocol => "no_shared_alpn",
            Self::ClientCertificate => "bad_client_certificate",
            Self::ChainTooLarge => "chain_too_large",
            Self::ServerCertificate => "server_certificate_refused",
            Self::ClientAlert => "client_alert",
            Self::Protocol => "protocol_error",
            Self::Other => "other",
        }
    }

    /// Why a handshake failed.
    fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
        match (tls, error.kind()) {
            (Some(error), _) => Self::of_tls(error),
            (
                None,
                ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::NotConnected,
            ) => Self::Closed,
            (None, _) => Self::Other,
        }
    }

    const fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(alert) => Self::of_alert(*alert),
            rustls::Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // Which came with TLS 1.2, so that it is missing in what is older.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            )
            | rustls::Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => {
                Self::Version
            }
            rustls::Error::PeerIncompatible(_) => Self::Cipher,
            rustls::Error::NoApplicationProtocol => Self::ApplicationProtocol,
            // What the verifier of client certificates says of a chain that is too large, and what
            // rustls says before it gets there.
            rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
            | rustls::Error::InvalidMessage(
                InvalidMessage::CertificatePayloadTooLarge
                | InvalidMessage::HandshakePayloadTooLarge,
            ) => Self::ChainTooLarge,
            rustls::Error::InvalidCertificate(_) => Self::ClientCertificate,
            rustls::Error::InvalidMessage(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. }
            | rustls::Error::PeerMisbehaved(_)
            | rustls::Error::PeerSentOversizedRecord
            | rustls::Error::DecryptError => Self::Protocol,
            _ => Self::Other,
        }
    }

    /// Libraries do not agree on which alert says that a certificate is not trusted.
    const fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown => Self::ServerCertificate,
            _ => Self::ClientAlert,
        }
    }
}

/// Why one connection ended.
#[derive(Debug)]
pub(super) struct Failure {
    reason: Reason,
    error: io::Error,
}

impl Failure {
    pub(super) fn new(reason: Reason, error: impl Into<io::Error>) -> Self {
        let error = error.into();
        Self { reason, error }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Reason::of(&error), error)
    }
}

/// What became of connections that ended early, by reason.
#[derive(Debug)]
pub(super) struct Failures {
    all: Counter,
    /// In the order of [`Reason::ALL`].
    reasons: [OneReason; Reason::ALL.len()],
}

#[derive(Debug)]
struct OneReason {
    count: Counter,
    log: LogLimit,
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            all: counter!("countersign_gateway_handshakes_total", "result" => "failed"),
            reasons: Reason::ALL.map(|reason| OneReason {
                count: counter!("countersign_gateway_handshake_failures_total", "reason" => reason.label()),
                log: LogLimit::default(),
            }),
        }
    }

    /// Counts a failure and, if not many were logged just now, logs it.
    pub(super) fn note(&self, failure: &Failure, peer: SocketAddr, now: UnixSeconds) {
        const MESSAGE: &str = "a connection ended before its first request";
        let Failure { reason, error } = failure;
        self.all.increment(1);
        let index = Reason::ALL.iter().position(|each| each == reason);
        let Some(known) = index.and_then(|index| self.reasons.get(index)) else {
            return;
        };
        known.count.increment(1);
        let Some(left_out) = known.log.may_log(now) else {
            return;
        };
        let label = reason.label();
        // Load balancers open and close connections to see whether the port is served.
        if *reason == Reason::Closed {
            tracing::debug!(%peer, reason = label, %error, left_out, "{MESSAGE}");
        } else {
            tracing::info!(%peer, reason = label, %error, left_out, "{MESSAGE}");
        }
    }
}

/// Allows one line in each second: whoever connects decides how often there is something to log.
#[derive(Debug, Default)]
struct LogLimit {
    last: AtomicU64,
    left_out: AtomicU64,
}

impl LogLimit {
    /// Whether a line may be logged, and how many were left out since the last one.
    fn may_log(&self, now: UnixSeconds) -> Option<u64> {
        if self.last.swap(now, Ordering::Relaxed) == now {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.left_out.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use rustls::PeerMisbehaved;

    use super::*;

    #[test]
    fn every_failure_has_a_reason() {
        let tls = |error: rustls::Error| io::Error::new(ErrorKind::InvalidData, error);
        for (error, reason) in [
            (io::Error::from(ErrorKind::UnexpectedEof), "closed"),
            (io::Error::from(ErrorKind::ConnectionReset), "closed"),
            (io::Error::from(ErrorKind::OutOfMemory), "other"),
            (
                tls(rustls::Error::AlertReceived(AlertDescription::UnknownCA)),
                "server_certificate_refused",
            ),
            (
                tls(rustls::Error::AlertReceived(AlertDescription::UserCanceled)),
                "client_alert",
            ),
            (
                tls(PeerIncompatible::Tls12NotOfferedOrEnabled.into()),
                "no_shared_version",
            ),
            (
                tls(PeerIncompatible::SignatureAlgorithmsExtensionRequired.into()),
                "no_shared_version",
            ),
            (
                tls(PeerIncompatible::NoCipherSuitesInCommon.into()),
                "no_shared_cipher",
            ),
            (tls(rustls::Error::NoApplicationProtocol), "no_shared_alpn"),
            (
                tls(CertificateError::BadSignature.into()),
                "bad_client_certificate",
            ),
            (
                tls(CertificateError::ApplicationVerificationFailure.into()),
                "chain_too_large",
            ),
            (
                tls(PeerMisbehaved::TooMuchEarlyDataReceived.into()),
                "protocol_error",
            ),
            (tls(rustls::Error::General(String::new())), "other"),
        ] {
            assert_eq!(Failure::from(error).reason.label(), reason);
        }
    }

    #[test]
    fn one_line_is_logged_in_each_second() {
        let log = LogLimit::default();
        assert_eq!(log.may_log(7), Some(0));
        assert_eq!((log.may_log(7), log.may_log(7)), (None, None));
        assert_eq!(log.may_log(8), Some(2));
        assert_eq!(log.may_log(9), Some(0));
    }
}
