//! What a certificate says, whether or not it can be an anchor.

use std::fmt;

use countersign_types::digest::Sha256;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{ExtendedKeyUsage, KeyUsage, ParsedExtension},
    prelude::FromDer as _,
    time::ASN1Time,
};

use super::{
    algorithm::{self, Algorithm},
    rejection::Rejection,
};
use crate::name;

/// What a certificate says, for people and for judging.
#[derive(Clone, PartialEq, Eq)]
pub struct Facts {
    der: Vec<u8>,
    sha256: Sha256,
    version: u32,
    subject: String,
    issuer: String,
    self_issued: bool,
    serial: String,
    not_before: Time,
    not_after: Time,
    public_key: Vec<u8>,
    pub(super) key: Algorithm,
    pub(super) signature: Algorithm,
    extensions: Extensions,
}

/// What the extensions say, for the first of each kind.
#[derive(Clone, PartialEq, Eq, Default)]
struct Extensions {
    subject_key_identifier: Option<Vec<u8>>,
    authority_key_identifier: Option<Vec<u8>>,
    is_ca: bool,
    path_length: Option<u32>,
    key_usage: Option<Vec<&'static str>>,
    extended_key_usage: Option<Vec<String>>,
    name_constraints: Option<Vec<u8>>,
}

/// A time, exact and as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    pub unix_seconds: i64,
    /// The same in RFC 3339, `2027-01-31T12:00:00Z`.
    pub text: String,
}

impl fmt::Debug for Facts {
    /// Leaves the certificate itself out: a body never reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("subject", &self.subject)
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

impl Facts {
    /// Reads a certificate: as the parser has it, and what it says.
    ///
    /// # Errors
    /// When it is no X.509 certificate, so that nothing more can be said about it.
    pub(super) fn parse(der: &[u8]) -> Result<(X509Certificate<'_>, Self), Rejection> {
        let Ok((rest, certificate)) = X509Certificate::from_der(der) else {
            return Err(Rejection::invalid(
                "The PEM block says `CERTIFICATE` but does not hold an X.509 certificate.",
                "Export the CA certificate again, as X.509 in PEM.",
            ));
        };
        if !rest.is_empty() {
            return Err(Rejection::invalid(
                format!(
                    "The PEM block goes on after the certificate, for {} more byte{}.",
                    rest.len(),
                    if rest.len() == 1 { "" } else { "s" }
                ),
                "Export the CA certificate again, alone.",
            ));
        }
        let facts = Self::of(der, &certificate);
        Ok((certificate, facts))
    }

    fn of(der: &[u8], certificate: &X509Certificate<'_>) -> Self {
        Self {
            der: der.to_vec(),
            sha256: Sha256::of(der),
            version: certificate.version().0.saturating_add(1),
            subject: name::readable(certificate.subject()),
            issuer: name::readable(certificate.issuer()),
            self_issued: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            serial: certificate.raw_serial_as_string(),
            not_before: Time::of(certificate.validity().not_before),
            not_after: Time::of(certificate.validity().not_after),
            public_key: certificate.public_key().raw.to_vec(),
            key: algorithm::of_key(certificate.public_key()),
            signature: algorithm::of_signature(certificate),
            extensions: Extensions::of(certificate),
        }
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of the DER, the fingerprint that OpenSSL prints.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// X.509 version, 3 for every certificate that can be an anchor.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The subject in the manner of RFC 4514, at most 256 characters of it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The issuer in the manner of RFC 4514, at most 256 characters of it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whether subject and issuer are the same name.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.self_issued
    }

    /// The serial number, bytes in hexadecimal with colons.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The first second of its validity.
    #[must_use]
    pub fn not_before(&self) -> &Time {
        &self.not_before
    }

    /// The last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> &Time {
        &self.not_after
    }

    /// SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The key's algorithm and size, `RSA 2048 bits` and the like.
    #[must_use]
    pub fn key_algorithm(&self) -> &str {
        &self.key.name
    }

    /// The signature's algorithm, `ECDSA with SHA-256` and the like.
    #[must_use]
    pub fn signature_algorithm(&self) -> &str {
        &self.signature.name
    }

    /// The Subject Key Identifier (RFC 5280 section 4.2.1.2).
    #[must_use]
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.subject_key_identifier.as_deref()
    }

    /// The key identifier of the Authority Key Identifier (RFC 5280 section 4.2.1.1).
    #[must_use]
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        self.extensions.authority_key_identifier.as_deref()
    }

    /// Whether basicConstraints says CA:TRUE (RFC 5280 section 4.2.1.9).
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.extensions.is_ca
    }

    /// The most intermediates below it that are not self-issued, if it sets a bound.
    #[must_use]
    pub fn path_length(&self) -> Option<u32> {
        self.extensions.path_length
    }

    /// The bits of keyUsage by their names in RFC 5280 section 4.2.1.3, if it is there.
    #[must_use]
    pub fn key_usage(&self) -> Option<&[&'static str]> {
        self.extensions.key_usage.as_deref()
    }

    /// The purposes of extended key usage, by name or in dotted numbers, if it is there.
    #[must_use]
    pub fn extended_key_usage(&self) -> Option<&[String]> {
        self.extensions.extended_key_usage.as_deref()
    }

    /// The nameConstraints extension in DER (RFC 5280 section 4.2.1.10), if it is there.
    #[must_use]
    pub fn name_constraints(&self) -> Option<&[u8]> {
        self.extensions.name_constraints.as_deref()
    }
}

impl Extensions {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut facts = Self::default();
        // Backwards, so that the first of each kind is the one that stays.
        for extension in certificate.extensions().iter().rev() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => {
                    facts.subject_key_identifier = Some(id.0.to_vec());
                }
                ParsedExtension::AuthorityKeyIdentifier(authority) => {
                    let id = authority.key_identifier.as_ref();
                    facts.authority_key_identifier = id.map(|id| id.0.to_vec());
                }
                ParsedExtension::BasicConstraints(basic) => {
                    facts.is_ca = basic.ca;
                    facts.path_length = basic.path_len_constraint;
                }
                ParsedExtension::KeyUsage(usage) => facts.key_usage = Some(usages(*usage)),
                ParsedExtension::ExtendedKeyUsage(purposes) => {
                    facts.extended_key_usage = Some(purposes_of(purposes));
                }
                ParsedExtension::NameConstraints(_) => {
                    facts.name_constraints = Some(extension.value.to_vec());
                }
                _ => {}
            }
        }
        facts
    }
}

fn usages(usage: KeyUsage) -> Vec<&'static str> {
    [
        (usage.digital_signature(), "digitalSignature"),
        (usage.non_repudiation(), "contentCommitment"),
        (usage.key_encipherment(), "keyEncipherment"),
        (usage.data_encipherment(), "dataEncipherment"),
        (usage.key_agreement(), "keyAgreement"),
        (usage.key_cert_sign(), "keyCertSign"),
        (usage.crl_sign(), "cRLSign"),
        (usage.encipher_only(), "encipherOnly"),
        (usage.decipher_only(), "decipherOnly"),
    ]
    .into_iter()
    .filter_map(|(set, name)| set.then_some(name))
    .collect()
}

fn purposes_of(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "anyExtendedKeyUsage"),
        (usage.server_auth, "serverAuth"),
        (usage.client_auth, "clientAuth"),
        (usage.code_signing, "codeSigning"),
        (usage.email_protection, "emailProtection"),
        (usage.time_stamping, "timeStamping"),
        (usage.ocsp_signing, "OCSPSigning"),
    ];
    let known = known.into_iter().filter(|(set, _)| *set);
    let known = known.map(|(_, name)| name.to_owned());
    known
        .chain(usage.other.iter().map(algorithm::oid_name))
        .collect()
}

impl Time {
    fn of(time: ASN1Time) -> Self {
        let datetime = time.to_datetime();
        let text = format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            datetime.year(),
            u8::from(datetime.month()),
            datetime.day(),
            datetime.hour(),
            datetime.minute(),
            datetime.second()
        );
        Self {
            unix_seconds: time.timestamp(),
            text,
        }
    }

    /// As the API shows times: 0 for any time before 1970.
    #[must_use]
    pub fn clamped(&self) -> u64 {
        u64::try_from(self.unix_seconds).unwrap_or(0)
    }
}
