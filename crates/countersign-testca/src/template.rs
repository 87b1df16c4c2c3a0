//! What to mint: a valid certificate unless a test asks for something else.

use aws_lc_rs::rand;

use crate::{
    der,
    extension::{Basic, Usage, basic_constraints, extension, key_usage, name_constraints},
    key::Key,
    key_kind::KeyKind,
    minted::{Issuer, Minted},
    name::{General, Name},
    oid,
    signature::Signature,
};

/// 2020-01-01T00:00:00Z, when certificates begin to be valid unless told otherwise.
pub const NOT_BEFORE: i64 = 1_577_836_800;
/// 2045-01-01T00:00:00Z, when they expire.
pub const NOT_AFTER: i64 = 2_366_841_600;

#[derive(Debug, Clone)]
enum AuthorityKey {
    OfIssuer,
    Absent,
    Identifier(Vec<u8>),
    IssuerAndSerial,
}

#[derive(Debug, Clone)]
enum SubjectKey {
    OfKey,
    Absent,
    Identifier(Vec<u8>),
}

/// The template of a certificate. Every method changes one thing.
#[derive(Debug, Clone)]
#[must_use = "nothing is minted before `mint`"]
pub struct Template {
    pub(crate) subject: Name,
    pub(crate) issuer: Option<Issuer>,
    issuer_name: Option<Name>,
    signer: Option<Key>,
    key: Option<Key>,
    kind: KeyKind,
    version: u8,
    serial: Vec<u8>,
    validity: (i64, i64),
    basic: Basic,
    key_usage: Option<Vec<Usage>>,
    extended_key_usage: Option<Vec<&'static [u64]>>,
    subject_key: SubjectKey,
    authority_key: AuthorityKey,
    alternative_names: Vec<General>,
    permitted: Vec<General>,
    excluded: Vec<General>,
    extensions: Vec<Vec<u8>>,
    signature: Signature,
    broken: bool,
    trailing: Vec<u8>,
}

impl Template {
    /// A root CA: self-issued, no AKI, keyCertSign and cRLSign.
    pub fn root(name: &str) -> Self {
        let mut serial = [0; 16];
        rand::fill(&mut serial).expect("the system draws bytes");
        // Positive, and always sixteen bytes long.
        serial[0] = 0x40 | serial[0] & 0x3f;
        Self {
            subject: Name::common(name),
            issuer: None,
            issuer_name: None,
            signer: None,
            key: None,
            kind: KeyKind::P256,
            version: 3,
            serial: serial.to_vec(),
            validity: (NOT_BEFORE, NOT_AFTER),
            basic: Basic::Ca(None),
            key_usage: Some(vec![Usage::KeyCertSign, Usage::CrlSign]),
            extended_key_usage: None,
            subject_key: SubjectKey::OfKey,
            authority_key: AuthorityKey::Absent,
            alternative_names: Vec::new(),
            permitted: Vec::new(),
            excluded: Vec::new(),
            extensions: Vec::new(),
            signature: Signature::Usual,
            broken: false,
            trailing: Vec::new(),
        }
    }

    /// A CA under another one.
    pub(crate) fn intermediate(name: &str, issuer: Issuer) -> Self {
        let mut template = Self::root(name);
        template.issuer = Some(issuer);
        template.authority_key = AuthorityKey::OfIssuer;
        template
    }

    /// A client certificate: CA:FALSE, digitalSignature, clientAuth.
    pub(crate) fn leaf(name: &str, issuer: Issuer) -> Self {
        let mut template = Self::intermediate(name, issuer);
        template.basic = Basic::NotCa;
        template.key_usage = Some(vec![Usage::DigitalSignature]);
        template.extended_key_usage = Some(vec![oid::CLIENT_AUTH]);
        template
    }

    /// Generates a key of this kind instead of P-256.
    pub fn key(mut self, kind: KeyKind) -> Self {
        self.kind = kind;
        self
    }

    /// Uses this key.
    pub fn with_key(mut self, key: &Key) -> Self {
        self.key = Some(key.clone());
        self
    }

    /// Sets the subject.
    pub fn subject(mut self, subject: Name) -> Self {
        self.subject = subject;
        self
    }

    /// One more attribute of the subject (`oid::ORGANIZATION`, ...); it may occur again.
    pub fn attribute(mut self, attribute: &'static [u64], value: &str) -> Self {
        self.subject = self.subject.and(attribute, value);
        self
    }

    /// Names an issuer other than the one that signs.
    pub fn issuer_name(mut self, name: Name) -> Self {
        self.issuer_name = Some(name);
        self
    }

    /// Signs with another key than the issuer's.
    pub fn signed_with(mut self, key: &Key) -> Self {
        self.signer = Some(key.clone());
        self
    }

    /// X.509 version 1, 2 or 3. Before 3 there are no extensions.
    pub fn version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// The serial number: the INTEGER's content as given, so it may be negative or empty.
    pub fn serial(mut self, content: &[u8]) -> Self {
        self.serial = content.to_vec();
        self
    }

    /// Validity in Unix seconds, from year 0 to 9999.
    pub fn valid(mut self, not_before: i64, not_after: i64) -> Self {
        self.validity = (not_before, not_after);
        self
    }

    /// CA:TRUE, with at most this many intermediates below.
    pub fn path_len(mut self, path_len: u32) -> Self {
        self.basic = Basic::Ca(Some(path_len));
        self
    }

    /// CA:TRUE.
    pub fn ca(mut self) -> Self {
        self.basic = Basic::Ca(None);
        self
    }

    /// CA:FALSE.
    pub fn not_ca(mut self) -> Self {
        self.basic = Basic::NotCa;
        self
    }

    /// No basicConstraints.
    pub fn no_basic_constraints(mut self) -> Self {
        self.basic = Basic::Absent;
        self
    }

    /// keyUsage of these bits.
    pub fn key_usage(mut self, usages: &[Usage]) -> Self {
        self.key_usage = Some(usages.to_vec());
        self
    }

    /// No keyUsage.
    pub fn no_key_usage(mut self) -> Self {
        self.key_usage = None;
        self
    }

    /// Extended key usage of these purposes (`oid::SERVER_AUTH`, ...).
    pub fn eku(mut self, purposes: &[&'static [u64]]) -> Self {
        self.extended_key_usage = Some(purposes.to_vec());
        self
    }

    /// No extended key usage.
    pub fn no_eku(mut self) -> Self {
        self.extended_key_usage = None;
        self
    }

    /// This Subject Key Identifier.
    pub fn ski(mut self, identifier: &[u8]) -> Self {
        self.subject_key = SubjectKey::Identifier(identifier.to_vec());
        self
    }

    /// No Subject Key Identifier. What it signs still names the identifier of its key.
    pub fn no_ski(mut self) -> Self {
        self.subject_key = SubjectKey::Absent;
        self
    }

    /// This Authority Key Identifier.
    pub fn aki(mut self, identifier: &[u8]) -> Self {
        self.authority_key = AuthorityKey::Identifier(identifier.to_vec());
        self
    }

    /// No Authority Key Identifier.
    pub fn no_aki(mut self) -> Self {
        self.authority_key = AuthorityKey::Absent;
        self
    }

    /// An Authority Key Identifier of issuer and serial only, without keyIdentifier.
    pub fn aki_without_key_identifier(mut self) -> Self {
        self.authority_key = AuthorityKey::IssuerAndSerial;
        self
    }

    /// One more subject alternative name.
    pub fn san(mut self, name: General) -> Self {
        self.alternative_names.push(name);
        self
    }

    /// One more permitted subtree of name constraints.
    pub fn permit(mut self, base: General) -> Self {
        self.permitted.push(base);
        self
    }

    /// One more excluded subtree of name constraints.
    pub fn exclude(mut self, base: General) -> Self {
        self.excluded.push(base);
        self
    }

    /// One more extension, even if there is one of that kind already; `value` is DER.
    pub fn extension(mut self, id: &[u64], critical: bool, value: &[u8]) -> Self {
        self.extensions.push(extension(id, critical, value));
        self
    }

    /// Signs in this way.
    pub fn signature(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    /// Flips a bit of the signature.
    pub fn break_signature(mut self) -> Self {
        self.broken = true;
        self
    }

    /// Puts these bytes after the certificate's DER.
    pub fn trailing(mut self, bytes: &[u8]) -> Self {
        self.trailing = bytes.to_vec();
        self
    }

    /// Mints it.
    ///
    /// # Panics
    /// When the signing key cannot make the signature that is asked for.
    #[must_use]
    pub fn mint(self) -> Minted {
        let key = self.key.clone().unwrap_or_else(|| Key::generate(self.kind));
        let of_issuer = self.issuer.as_ref().map(|issuer| &issuer.key);
        let signer = self.signer.as_ref().or(of_issuer).unwrap_or(&key);
        let algorithm = self.signature.identifier(signer.kind());
        let tbs = self.to_be_signed(&key, &algorithm);
        let mut signature = signer.sign(self.signature, &tbs);
        if let (true, Some(last)) = (self.broken, signature.last_mut()) {
            *last ^= 1;
        }
        let mut certificate = der::sequence(&[tbs, algorithm, der::bit_string(&signature)]);
        certificate.extend_from_slice(&self.trailing);
        Minted::new(certificate, self.into_issuer(key))
    }

    fn into_issuer(self, key: Key) -> Issuer {
        Issuer {
            key_identifier: match self.subject_key {
                SubjectKey::Identifier(identifier) => Some(identifier),
                SubjectKey::OfKey | SubjectKey::Absent => None,
            },
            name: self.subject,
            serial: self.serial,
            key,
        }
    }

    fn to_be_signed(&self, key: &Key, algorithm: &[u8]) -> Vec<u8> {
        let of_issuer = self.issuer.as_ref().map(|issuer| &issuer.name);
        let issuer = self.issuer_name.as_ref().or(of_issuer);
        let (not_before, not_after) = self.validity;
        let mut fields = vec![
            der::element(der::INTEGER, &self.serial),
            algorithm.to_vec(),
            issuer.unwrap_or(&self.subject).der(),
            der::sequence(&[der::time(not_before), der::time(not_after)]),
            self.subject.der(),
            key.spki().to_vec(),
        ];
        if self.version > 1 {
            let version = der::unsigned(&[self.version - 1]);
            fields.insert(0, der::element(der::constructed(0), &version));
        }
        if self.version > 2 {
            let extensions = der::sequence(&self.all_extensions(key));
            fields.push(der::element(der::constructed(3), &extensions));
        }
        der::sequence(&fields)
    }

    fn all_extensions(&self, key: &Key) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        all.extend(basic_constraints(self.basic));
        all.extend(self.key_usage.as_deref().map(key_usage));
        if let Some(purposes) = &self.extended_key_usage {
            let purposes: Vec<_> = purposes.iter().map(|purpose| der::oid(purpose)).collect();
            let value = der::sequence(&purposes);
            all.push(extension(oid::EXTENDED_KEY_USAGE, false, &value));
        }
        let identifier = match &self.subject_key {
            SubjectKey::OfKey => Some(key.identifier()),
            SubjectKey::Absent => None,
            SubjectKey::Identifier(identifier) => Some(identifier.clone()),
        };
        if let Some(identifier) = identifier {
            let value = der::element(der::OCTET_STRING, &identifier);
            all.push(extension(oid::SUBJECT_KEY_IDENTIFIER, false, &value));
        }
        all.extend(self.authority_key_identifier(key));
        if !self.alternative_names.is_empty() {
            let names: Vec<_> = self.alternative_names.iter().map(General::der).collect();
            let critical = self.subject == Name::empty();
            let value = der::sequence(&names);
            all.push(extension(oid::SUBJECT_ALT_NAME, critical, &value));
        }
        all.extend(name_constraints(&self.permitted, &self.excluded));
        all.extend(self.extensions.iter().cloned());
        all
    }

    fn authority_key_identifier(&self, key: &Key) -> Option<Vec<u8>> {
        let identifier = |bytes: &[u8]| der::element(der::primitive(0), bytes);
        let content = match &self.authority_key {
            AuthorityKey::Absent => return None,
            AuthorityKey::Identifier(bytes) => identifier(bytes),
            AuthorityKey::OfIssuer => match &self.issuer {
                Some(issuer) => match &issuer.key_identifier {
                    Some(bytes) => identifier(bytes),
                    None => identifier(&issuer.key.identifier()),
                },
                None => identifier(&key.identifier()),
            },
            AuthorityKey::IssuerAndSerial => {
                let issuer = self.issuer.as_ref();
                let name = issuer.map_or(&self.subject, |issuer| &issuer.name);
                let serial = issuer.map_or(&self.serial, |issuer| &issuer.serial);
                let names = General::Directory(name.clone()).der();
                let names = der::element(der::constructed(1), &names);
                [names, der::element(der::primitive(2), serial)].concat()
            }
        };
        let value = der::element(der::SEQUENCE, &content);
        Some(extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &value))
    }
}

impl Minted {
    /// A CA below this one.
    pub fn intermediate(&self, name: &str) -> Template {
        Template::intermediate(name, self.this.clone())
    }

    /// A client certificate below this one.
    pub fn leaf(&self, name: &str) -> Template {
        Template::leaf(name, self.this.clone())
    }
}
