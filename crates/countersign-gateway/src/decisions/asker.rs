//! Who may ask: only the proxy, which proves itself. Whoever else reached the listener could have any
//! certificate judged as its own.

use std::path::Path;

use countersign_tls::{Error, Reloading};
use countersign_types::digest::Sha256;
use countersign_verify::certificate::PlainNames;
use http::{HeaderMap, HeaderName};

/// The least that a secret has, in characters.
const LEAST: usize = 32;

/// How the proxy proves itself.
#[derive(Debug)]
pub(super) enum Asker {
    /// By a client certificate, which the handshake verified; with one of these names, if any are listed.
    ClientCertificate { names: Vec<String> },
    /// By a secret in each request.
    Secret {
        header: HeaderName,
        secrets: Reloading<Secrets>,
    },
    /// By its user, which the kernel tells.
    UnixUsers(Vec<u32>),
}

impl Asker {
    /// Whether a certificate that the handshake verified is the proxy's.
    pub(super) fn has_name(&self, certificate: &[u8]) -> bool {
        let Self::ClientCertificate { names } = self else {
            return true;
        };
        let carried = PlainNames::of(certificate);
        let is_carried = |name: &String| {
            carried.uris.contains(name)
                || carried.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name))
        };
        names.is_empty() || names.iter().any(is_carried)
    }

    /// Whether a process of this user is the proxy.
    pub(super) fn is_user(&self, user: u32) -> bool {
        match self {
            Self::UnixUsers(users) => users.contains(&user),
            Self::ClientCertificate { .. } | Self::Secret { .. } => true,
        }
    }

    /// Whether a request is the proxy's, on a connection that is.
    pub(super) fn sent(&self, headers: &HeaderMap) -> bool {
        let Self::Secret { header, secrets } = self else {
            return true;
        };
        let mut values = headers.get_all(header).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => secrets.current().contains(value.as_bytes()),
            _ => false,
        }
    }

    /// Reads what is kept in files again if it changed.
    pub(super) fn reload(&self) -> Result<bool, Error> {
        match self {
            Self::Secret { secrets, .. } => secrets.reload_if_changed(),
            Self::ClientCertificate { .. } | Self::UnixUsers(_) => Ok(false),
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Secret { secrets, .. } => secrets.trouble(),
            Self::ClientCertificate { .. } | Self::UnixUsers(_) => None,
        }
    }
}

/// The secrets of a file, as their digests: how long it takes to compare these tells nothing of the
/// secrets themselves, and neither does anything that is logged.
#[derive(Debug)]
pub(super) struct Secrets(Vec<Sha256>);

impl Secrets {
    /// Reads a file with a secret in each line: two of them while one takes the place of another.
    pub(super) fn read(file: &Path) -> Result<Self, Error> {
        let cannot = |source| Error::Read {
            file: file.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(file).map_err(cannot)?;
        let lines = text.lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        let is_good =
            |line: &&str| line.len() >= LEAST && line.bytes().all(|b| b.is_ascii_graphic());
        if lines.is_empty() || !lines.iter().all(is_good) {
            let reason = "each line must be a secret of at least 32 visible ASCII characters";
            return Err(cannot(std::io::Error::other(reason)));
        }
        Ok(Self(lines.into_iter().map(Sha256::of).collect()))
    }

    fn contains(&self, given: &[u8]) -> bool {
        let given = Sha256::of(given);
        // All of them are looked at.
        let same = self.0.iter().filter(|known| **known == given);
        same.count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_testca::{General, root};

    #[test]
    fn a_secret_is_one_of_the_file_and_sent_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secrets");
        let (first, second) = ("a".repeat(32), "b".repeat(40));
        std::fs::write(&file, format!("{first}\n\n{second}\n")).unwrap();
        let read = file.clone();
        let asker = Asker::Secret {
            header: HeaderName::from_static("x-secret"),
            secrets: Reloading::load(vec![file.clone()], move || Secrets::read(&read)).unwrap(),
        };
        let sent = |values: &[&str]| {
            let name = || HeaderName::from_static("x-secret");
            let headers = values.iter().map(|value| (name(), value.parse().unwrap()));
            asker.sent(&headers.collect())
        };
        assert!(sent(&[&first]) && sent(&[&second]));
        let cut = &first[..31];
        for wrong in [
            &[][..],
            &[""],
            &[cut],
            &[&first, &first],
            &[&first, &second],
        ] {
            assert!(!sent(wrong), "{wrong:?}");
        }
        assert!(!format!("{asker:?}").contains(&first));

        for bad in [
            "",
            "\n",
            "short\n",
            &format!("{first}\nshort"),
            &format!("{first} b"),
        ] {
            std::fs::write(&file, bad).unwrap();
            let error = Secrets::read(&file).unwrap_err().to_string();
            assert!(error.contains("32 visible"), "{error}");
            assert!(!error.contains(&first), "{error}");
        }
    }

    #[test]
    fn a_certificate_of_the_ca_under_another_name_is_not_the_proxys() {
        let ca = root("Root").mint();
        let proxy = ca.leaf("proxy").san(General::dns("proxy.example")).mint();
        let named = |names: &[&str]| Asker::ClientCertificate {
            names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        for (names, is_it) in [
            (&[][..], true),
            (&["proxy.example"], true),
            (&["other.example", "PROXY.example"], true),
            (&["other.example"], false),
            (&["proxy"], false),
        ] {
            assert_eq!(named(names).has_name(proxy.der()), is_it, "{names:?}");
        }
    }
}
