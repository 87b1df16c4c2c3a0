//! The CA whose certificates end TLS on this machine. It can vouch for no host but those that it was made
//! for.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_tls::{issued, standard};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, SanType,
};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use time::{Duration, OffsetDateTime};

const NAME: &str = "Countersign connect local CA";
const LEAF_NAME: &str = "Countersign connect";

/// How long the CA holds.
const CA_VALID: Duration = Duration::days(3650);

/// How long a certificate holds, and when another is made.
const LEAF_VALID: Duration = Duration::days(90);
const LEAF_RENEWED: Duration = Duration::days(30);

/// A clock that runs a little behind still finds them valid.
const BEFORE: Duration = Duration::hours(1);

/// Why there is no local CA.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// A key or a certificate cannot be made, or read.
    #[error("cannot make or read the local CA: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS cannot use what was made.
    #[error(transparent)]
    Tls(#[from] countersign_tls::Error),
}

/// A CA of this machine.
#[derive(Debug)]
pub struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl LocalCa {
    /// A new CA for these hosts.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(hosts: &[&str], now: OffsetDateTime) -> Result<Self, LocalCaError> {
        let key = KeyPair::generate()?;
        let mut params = params(NAME, now, CA_VALID);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.name_constraints = Some(constraints(hosts));
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// A CA that was kept.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, LocalCaError> {
        let key = KeyPair::from_pem(key)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(certificate, key)?,
            pem: certificate.to_owned(),
        })
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its key, to be kept where nobody else can read it.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    fn issue(&self, host: &str, now: OffsetDateTime) -> Result<Arc<CertifiedKey>, LocalCaError> {
        let key = KeyPair::generate()?;
        // A common name that looks like a host would have to be one of the CA's own kind of names.
        let mut leaf = params(LEAF_NAME, now, LEAF_VALID);
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.subject_alt_names = vec![match bare(host).parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into()?),
        }];
        let certificate = leaf.signed_by(&key, &self.issuer)?;
        let chain = vec![certificate.der().clone()];
        Ok(issued(&standard(), chain, key.serialize_der())?)
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn params(name: &str, now: OffsetDateTime, valid: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - BEFORE;
    params.not_after = now + valid;
    params
}

/// These hosts alone. Of a kind of name that none of them has, nothing is permitted.
fn constraints(hosts: &[&str]) -> NameConstraints {
    let mut permitted: Vec<_> = hosts
        .iter()
        .map(|host| match bare(host).parse::<IpAddr>() {
            Ok(address @ IpAddr::V4(_)) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 32))
            }
            Ok(address) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, 128)),
            Err(_) => GeneralSubtree::DnsName((*host).to_owned()),
        })
        .collect();
    let has = |is: fn(&GeneralSubtree) -> bool| permitted.iter().any(is);
    let has_names = has(|each| matches!(each, GeneralSubtree::DnsName(_)));
    let has_addresses = has(|each| matches!(each, GeneralSubtree::IpAddress(_)));
    if !has_names {
        // No host has this name (RFC 6761 section 6.4).
        permitted.push(GeneralSubtree::DnsName("invalid".to_owned()));
    }
    let all = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
    let all = all.map(|from| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(from, 0)));
    NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: if has_addresses {
            Vec::new()
        } else {
            all.into()
        },
    }
}

/// Tells the time.
pub(crate) type Clock = fn() -> OffsetDateTime;

/// The certificate of one host, made again before it expires.
pub(crate) struct HostCertificate {
    ca: Arc<LocalCa>,
    host: String,
    clock: Clock,
    made: Mutex<(OffsetDateTime, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for HostCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostCertificate")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

impl HostCertificate {
    pub(crate) fn new(ca: Arc<LocalCa>, host: &str, clock: Clock) -> Result<Self, LocalCaError> {
        let now = clock();
        let made = ca.issue(host, now)?;
        Ok(Self {
            ca,
            host: host.to_owned(),
            clock,
            made: Mutex::new((now, made)),
        })
    }
}

impl ResolvesServerCert for HostCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = (self.clock)();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if now - made.0 > LEAF_RENEWED
            && let Ok(new) = self.ca.issue(&self.host, now)
        {
            *made = (now, new);
        }
        Some(Arc::clone(&made.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, process::Command};

    #[test]
    fn openssl_trusts_it_for_its_hosts_and_for_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let now = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        for (made_for, host, trusted) in [
            (&["api.example.com"][..], "api.example.com", true),
            (&["api.example.com", "127.0.0.1"], "127.0.0.1", true),
            (&["[::1]"], "::1", true),
            (&["api.example.com"], "other.example.com", false),
            (&["api.example.com"], "127.0.0.1", false),
            (&["127.0.0.1"], "api.example.com", false),
            (&["127.0.0.1"], "127.0.0.2", false),
        ] {
            let new = LocalCa::new(made_for, now).unwrap();
            let kept = LocalCa::from_pem(new.pem(), &new.key_pem()).unwrap();
            fs::write(path("ca.pem"), kept.pem()).unwrap();
            let leaf = kept.issue(host, now).unwrap();
            fs::write(path("leaf.der"), leaf.cert[0].as_ref()).unwrap();
            let mut command = Command::new("openssl");
            command.args(["verify", "-x509_strict", "-purpose", "sslserver", "-attime"]);
            command.arg(now.unix_timestamp().to_string());
            command
                .arg("-CAfile")
                .arg(path("ca.pem"))
                .arg(path("leaf.der"));
            let ran = command.output().unwrap();
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!(ran.status.success(), trusted, "{made_for:?} {host}: {said}");
        }
    }
}
