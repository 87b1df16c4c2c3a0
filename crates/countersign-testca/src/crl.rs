//! Revocation lists: valid ones unless a test asks for something else.

use crate::{
    der,
    extension::extension,
    key::Key,
    minted::{Issuer, Minted},
    name::Name,
    oid,
    signature::Signature,
};

/// 2026-11-01T00:00:00Z, when lists are made unless told otherwise.
pub const THIS_UPDATE: i64 = 1_793_491_200;
/// 2027-11-01T00:00:00Z, when they end.
pub const NEXT_UPDATE: i64 = 1_825_027_200;

/// The template of a revocation list. Every method changes one thing.
#[derive(Debug, Clone)]
#[must_use = "nothing is minted before `mint`"]
pub struct CrlTemplate {
    issuer: Issuer,
    signer: Option<Key>,
    version: u8,
    this_update: i64,
    next_update: Option<i64>,
    number: Option<Vec<u8>>,
    authority_key: Option<Vec<u8>>,
    extensions: Vec<Vec<u8>>,
    /// Entries in DER, one after the other.
    entries: Vec<u8>,
    signature: Signature,
}

impl CrlTemplate {
    fn new(issuer: Issuer) -> Self {
        let identifier = issuer.key_identifier.clone();
        Self {
            authority_key: Some(identifier.unwrap_or_else(|| issuer.key.identifier())),
            issuer,
            signer: None,
            version: 2,
            this_update: THIS_UPDATE,
            next_update: Some(NEXT_UPDATE),
            number: Some(vec![1]),
            extensions: Vec::new(),
            entries: Vec::new(),
            signature: Signature::Usual,
        }
    }

    /// One more revoked certificate, without a reason.
    pub fn revoke(self, certificate: &Minted) -> Self {
        let serial = certificate.this.serial.clone();
        self.entry(&serial, &[])
    }

    /// One more entry: the INTEGER's content as given, and extensions as [`crl_extension`] makes them.
    pub fn entry(mut self, serial: &[u8], extensions: &[Vec<u8>]) -> Self {
        let mut fields = vec![
            der::element(der::INTEGER, serial),
            der::time(THIS_UPDATE - 86_400),
        ];
        if !extensions.is_empty() {
            fields.push(der::sequence(extensions));
        }
        self.entries.extend(der::sequence(&fields));
        self
    }

    /// Entries that are already DER.
    pub fn raw_entries(mut self, entries: Vec<u8>) -> Self {
        self.entries = entries;
        self
    }

    /// The cRLNumber's INTEGER content; none for a list without.
    pub fn number(mut self, content: Option<&[u8]>) -> Self {
        self.number = content.map(<[u8]>::to_vec);
        self
    }

    /// thisUpdate and nextUpdate in Unix seconds.
    pub fn current(mut self, this_update: i64, next_update: Option<i64>) -> Self {
        self.this_update = this_update;
        self.next_update = next_update;
        self
    }

    /// Version 1 without extensions.
    pub fn version_1(mut self) -> Self {
        self.version = 1;
        self
    }

    /// This Authority Key Identifier, or none.
    pub fn aki(mut self, identifier: Option<&[u8]>) -> Self {
        self.authority_key = identifier.map(<[u8]>::to_vec);
        self
    }

    /// Names another issuer than the one that signs.
    pub fn issuer_name(mut self, name: Name) -> Self {
        self.issuer.name = name;
        self
    }

    /// Signs with another key than the issuer's.
    pub fn signed_with(mut self, key: &Key) -> Self {
        self.signer = Some(key.clone());
        self
    }

    /// Signs in this way.
    pub fn signature(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// One more extension of the list; `value` is DER.
    pub fn extension(mut self, id: &[u64], critical: bool, value: &[u8]) -> Self {
        self.extensions.push(extension(id, critical, value));
        self
    }

    /// The list in DER.
    #[must_use]
    pub fn mint(self) -> Vec<u8> {
        let key = self.signer.as_ref().unwrap_or(&self.issuer.key);
        let algorithm = self.signature.identifier(key.kind());
        let signed = self.to_be_signed(&algorithm);
        let signature = key.sign(self.signature, &signed);
        der::sequence(&[signed, algorithm, der::bit_string(&signature)])
    }

    /// The list in PEM.
    #[must_use]
    pub fn pem(self) -> String {
        der::pem("X509 CRL", &self.mint())
    }

    fn to_be_signed(&self, algorithm: &[u8]) -> Vec<u8> {
        let mut fields = Vec::new();
        if self.version > 1 {
            fields.push(der::unsigned(&[self.version - 1]));
        }
        fields.push(algorithm.to_vec());
        fields.push(self.issuer.name.der());
        fields.push(der::time(self.this_update));
        fields.extend(self.next_update.map(der::time));
        if !self.entries.is_empty() {
            fields.push(der::element(der::SEQUENCE, &self.entries));
        }
        if self.version > 1 {
            let extensions = der::sequence(&self.all_extensions());
            fields.push(der::element(der::constructed(0), &extensions));
        }
        der::sequence(&fields)
    }

    fn all_extensions(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        if let Some(identifier) = &self.authority_key {
            let value = der::element(der::primitive(0), identifier);
            let value = der::element(der::SEQUENCE, &value);
            all.push(extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &value));
        }
        if let Some(number) = &self.number {
            let value = der::element(der::INTEGER, number);
            all.push(extension(oid::CRL_NUMBER, false, &value));
        }
        all.extend(self.extensions.iter().cloned());
        all
    }
}

/// An extension of an entry; `value` is DER.
#[must_use]
pub fn crl_extension(id: &[u64], critical: bool, value: &[u8]) -> Vec<u8> {
    extension(id, critical, value)
}

impl Minted {
    /// A revocation list by this CA.
    pub fn crl(&self) -> CrlTemplate {
        CrlTemplate::new(self.this.clone())
    }

    /// The content of its serial number.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.this.serial
    }
}
