//! The throw-away CA of a `dev` directory, and a client certificate from it. The CA is kept; each
//! start makes a new client certificate, so that it never expires.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::{
    failure::{CommandResult, Doing},
    files::write_private,
};

const CA_DAYS: i64 = 3650;
const CLIENT_DAYS: i64 = 365;

/// The files, as absolute paths.
pub(crate) struct Identity {
    /// The CA's certificate, to be uploaded as a trust anchor.
    pub(crate) ca: PathBuf,
    /// The client's certificate.
    pub(crate) certificate: PathBuf,
    /// The client's private key.
    pub(crate) key: PathBuf,
    /// A certificate of another CA of the same name, and its private key.
    pub(crate) untrusted: PathBuf,
    pub(crate) untrusted_key: PathBuf,
}

/// Loads or makes the CA of a directory, and makes a client certificate.
pub(crate) fn prepare(directory: &Path, now: OffsetDateTime) -> CommandResult<Identity> {
    let identity = Identity {
        ca: directory.join("ca.pem"),
        certificate: directory.join("client.pem"),
        key: directory.join("client.key"),
        untrusted: directory.join("untrusted.pem"),
        untrusted_key: directory.join("untrusted.key"),
    };
    let ca_key = directory.join("ca.key");
    let kept = (
        fs::read_to_string(&identity.ca),
        fs::read_to_string(&ca_key),
    );
    let issuer = match kept {
        (Ok(certificate), Ok(key)) => {
            let key = KeyPair::from_pem(&key).doing("read `ca.key`")?;
            Issuer::from_ca_cert_pem(&certificate, key).doing("read `ca.pem`")?
        }
        _ => {
            let key = KeyPair::generate().doing("make the CA's key")?;
            let params = ca_params(now);
            let certificate = params.self_signed(&key).doing("sign the CA")?;
            write_private(&ca_key, &key.serialize_pem())?;
            write_private(&identity.ca, &certificate.pem())?;
            Issuer::new(params, key)
        }
    };
    let key = KeyPair::generate().doing("make the client's key")?;
    let certificate = client_params(now)
        .signed_by(&key, &issuer)
        .doing("sign the client certificate")?;
    write_private(&identity.key, &key.serialize_pem())?;
    write_private(&identity.certificate, &certificate.pem())?;
    make_untrusted(&identity, now)?;
    Ok(identity)
}

/// A client certificate of another CA: one that must be refused.
fn make_untrusted(identity: &Identity, now: OffsetDateTime) -> CommandResult {
    let ca_key = KeyPair::generate().doing("make another CA's key")?;
    let issuer = Issuer::new(ca_params(now), ca_key);
    let key = KeyPair::generate().doing("make the untrusted key")?;
    let certificate = client_params(now)
        .signed_by(&key, &issuer)
        .doing("sign the untrusted certificate")?;
    write_private(&identity.untrusted_key, &key.serialize_pem())?;
    write_private(&identity.untrusted, &certificate.pem())
}

pub(super) fn params(name: &str, now: OffsetDateTime, days: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A clock that runs a little behind still finds it valid.
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(days);
    params
}

fn ca_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = params("Countersign dev CA", now, CA_DAYS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = params("dev-client", now, CLIENT_DAYS);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
