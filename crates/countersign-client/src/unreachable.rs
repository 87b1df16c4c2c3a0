//! Why a server could not be reached, told apart as far as it matters to what a person can do.

use std::{error::Error as StdError, fmt, io};

use countersign_types::secret::Secret;
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use crate::presentable::presentable;

/// Why a connection failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// Nothing listens on that port.
    Refused,
    /// The host's name has no address.
    UnknownHost,
    /// There is no way to the host.
    NoRoute,
    /// The connection was reset or closed before an answer: over plain HTTP often a port that
    /// speaks TLS.
    Closed,
    /// What answers speaks plain HTTP, or something else that is not TLS.
    NotTls,
    /// What answers does not speak HTTP: often a port that speaks TLS.
    NotHttp,
    /// The server's certificate is from no CA that is trusted here.
    UnknownIssuer,
    /// The server's certificate is a CA's own, which cannot be a server's.
    IssuerAsServer,
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// The server's certificate is for other names.
    WrongName {
        /// The names that it is for.
        names: Vec<String>,
    },
    /// The server's certificate cannot be used for another reason.
    ServerCertificate(String),
    /// The server refused the client's certificate, or wants one, in the handshake.
    ClientCertificate(String),
    /// Anything else, in the words of the library.
    Other(String),
}

impl Unreachable {
    /// Whether another attempt may succeed: a certificate stays what it is.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::UnknownHost
                | Self::NoRoute
                | Self::Closed
                | Self::NotHttp
                | Self::Other(_)
        )
    }

    /// Why a connection failed, whoever made it, with the error at the beginning of its chain. What is not
    /// known here keeps the text of its library, which repeats nothing of a request.
    #[must_use]
    pub fn of_connection(error: &(dyn StdError + 'static)) -> Self {
        Self::of(error, &Secret::new(""))
    }

    /// The cause at the end of a chain of errors.
    pub(crate) fn of(error: &(dyn StdError + 'static), key: &Secret) -> Self {
        let mut cause = error;
        loop {
            if let Some(known) = Self::known(cause) {
                return known;
            }
            match cause.source() {
                Some(deeper) => cause = deeper,
                None => break,
            }
        }
        let text = cause.to_string();
        if text.contains("failed to lookup address") {
            return Self::UnknownHost;
        }
        Self::Other(presentable(&text, key))
    }

    fn known(cause: &(dyn StdError + 'static)) -> Option<Self> {
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            return match error {
                _ if error.is_parse() => Some(Self::NotHttp),
                _ if error.is_incomplete_message() => Some(Self::Closed),
                _ => None,
            };
        }
        Self::of_socket(cause.downcast_ref()?)
    }

    fn of_socket(error: &io::Error) -> Option<Self> {
        // An error of TLS is inside of one of the socket, and is not its source; each layer between
        // may have wrapped it once more.
        if let Some(inner) = error.get_ref() {
            if let Some(tls) = inner.downcast_ref() {
                return Some(Self::of_tls(tls));
            }
            if let Some(wrapped) = inner.downcast_ref() {
                return Self::of_socket(wrapped);
            }
        }
        Some(match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::NoRoute,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => return None,
        })
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            rustls::Error::InvalidCertificate(why) => Self::of_certificate(why),
            rustls::Error::AlertReceived(alert) if is_about_the_client(*alert) => {
                Self::ClientCertificate(format!("{alert:?}"))
            }
            other => Self::Other(other.to_string()),
        }
    }

    fn of_certificate(why: &CertificateError) -> Self {
        match why {
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForNameContext { presented, .. } => Self::WrongName {
                names: presented.iter().map(|name| plain(name)).collect(),
            },
            CertificateError::NotValidForName => Self::WrongName { names: Vec::new() },
            CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                Self::IssuerAsServer
            }
            other => Self::ServerCertificate(other.to_string()),
        }
    }
}

/// The alerts that a server sends because of the client's certificate.
const fn is_about_the_client(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// A name in a certificate, `DnsName("a.example")`, as people write it.
fn plain(name: &str) -> String {
    let quoted = name
        .split_once("(\"")
        .and_then(|(_, rest)| rest.split_once("\")"));
    let bare = name
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    let found = quoted.map(|(inside, _)| inside).or(bare).unwrap_or(name);
    found.chars().filter(|each| !each.is_control()).collect()
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "nothing listens on that port (connection refused)",
            Self::UnknownHost => "there is no host of that name",
            Self::NoRoute => "there is no route to that host",
            Self::Closed => "the connection was closed without an answer",
            Self::NotTls => "what listens there does not speak TLS; it may be plain `http`",
            Self::NotHttp => "what listens there does not speak plain HTTP; it may be `https`",
            Self::UnknownIssuer => "its certificate is from a CA that is not trusted here",
            Self::IssuerAsServer => {
                "its certificate is a CA's own (CA:TRUE), which cannot be a server's"
            }
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::WrongName { names } if names.is_empty() => {
                return f.write_str("its certificate is for no name");
            }
            Self::WrongName { names } => {
                return write!(
                    f,
                    "its certificate is for `{}`, not for that host",
                    names.join("`, `")
                );
            }
            Self::ServerCertificate(why) => {
                return write!(f, "its certificate cannot be used: {why}");
            }
            Self::ClientCertificate(alert) => {
                return write!(
                    f,
                    "it refused the client certificate in the handshake ({alert})"
                );
            }
            Self::Other(reason) => reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_of_certificates_are_shown_as_people_write_them() {
        for (name, shown) in [
            ("DnsName(\"a.example\")", "a.example"),
            ("IpAddress(127.0.0.1)", "127.0.0.1"),
            ("a.example", "a.example"),
        ] {
            assert_eq!(plain(name), shown);
        }
    }
}
