//! What a leaf can be denied by.

use countersign_types::{
    UnixSeconds,
    denial::{IssuerAndSerial, SubjectAltName},
    digest::Sha256,
};

use super::{alternative_name, issuer, key, serial};
use crate::x509::{Certificate, Malformed};

/// What a certificate can be denied by, and what tells whether it is a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafIdentity {
    /// SHA-256 of its DER.
    pub sha256: Sha256,
    /// SHA-256 of the DER of its public key info.
    pub spki_sha256: Sha256,
    /// Its issuer and serial number, in the forms that are compared; the issuer as RFC 4514 writes it.
    pub issuer_and_serial: IssuerAndSerial,
    /// Its subject alternative names of the types that can be denied, in the forms that are compared.
    pub names: Vec<SubjectAltName>,
    /// Whether it is a CA's.
    pub is_ca: bool,
    /// The first second of its validity, in Unix seconds.
    pub not_before: UnixSeconds,
    /// The last second of its validity, in Unix seconds.
    pub not_after: UnixSeconds,
}

impl LeafIdentity {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// What is malformed in it.
    pub fn read(der: &[u8]) -> Result<Self, Malformed> {
        let fields = Certificate::read(der)?;
        let names = alternative_name::presented(fields.extensions.alternative_names);
        let issuer = issuer::shown(fields.issuer);
        Ok(Self {
            sha256: Sha256::of(der),
            spki_sha256: key::sha256(fields.key),
            issuer_and_serial: IssuerAndSerial {
                issuer: issuer.unwrap_or_default(),
                serial_number: serial::presented(fields.serial),
            },
            names: names
                .filter_map(Result::ok)
                .filter_map(|name| name.normal())
                .collect(),
            is_ca: fields.extensions.is_ca,
            not_before: fields.not_before,
            not_after: fields.not_after,
        })
    }
}
