//! Why a request may not go on: the code that the client gets, and the trace that only the
//! operator sees.

use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    error::ErrorCode,
    id::{CertificateId, ProjectId},
    refused_by::{CrlOfIssuer, RefusedBy},
};
use serde::{Serialize, Serializer, ser::SerializeStruct};

pub use crate::{
    denied_by::{BelowFloor, DeniedBy},
    name::CertificateName,
    oid::ObjectId,
    revoked_by::{NoCurrentList, Revoked},
    time::TimeAndNow,
    x509::Malformed,
};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: ErrorCode,
    trace: Vec<Finding>,
    revision: u64,
}

impl Refusal {
    pub(crate) const fn new(code: ErrorCode, trace: Vec<Finding>, revision: u64) -> Self {
        Self {
            code,
            trace,
            revision,
        }
    }

    /// The code that the client gets.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// What was tried, in order. Every active anchor is in it, with the reason why it did not let
    /// the leaf through. For the operator only.
    #[must_use]
    pub fn trace(&self) -> &[Finding] {
        &self.trace
    }

    /// The anchor that the chain verified under, and where it is active, when it is only its policy, its
    /// floor or a denial that says no.
    #[must_use]
    pub fn verified_under(&self) -> Option<&(CertificateId, Scope)> {
        let verified = |finding: &&Finding| finding.step >= Step::Floor;
        self.trace.iter().find(verified)?.anchor.as_ref()
    }

    /// The denial that refuses the leaf, if one does.
    #[must_use]
    pub fn denied_by(&self) -> Option<&DeniedBy> {
        self.trace
            .iter()
            .find_map(|finding| finding.reason.denied_by())
    }

    /// The denial, the floor or the revocation list that refuses the chain, if one does: without it, the chain
    /// might pass.
    #[must_use]
    pub fn refused_by(&self) -> Option<RefusedBy> {
        if self.code != ErrorCode::CertificateVerificationFailed {
            return None;
        }
        if let Some(denial) = self.denied_by() {
            return Some(RefusedBy::Denial(denial.id.clone()));
        }
        let floor = self.trace.iter().find_map(Finding::floor);
        let revoked = || self.trace.iter().find_map(|each| each.reason.revoked_by());
        floor
            .map(|anchor| RefusedBy::Floor(anchor.clone()))
            .or_else(|| revoked().map(RefusedBy::Crl))
    }

    /// The second from which the denial that refuses the leaf does so no more; never, where none does.
    #[must_use]
    pub fn denied_until(&self) -> UnixSeconds {
        self.denied_by().map_or(UnixSeconds::MAX, DeniedBy::until)
    }

    /// The revision of the trust set that it was judged under.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }
}

/// One step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The anchor that was tried, and where it is active; none for what concerns all of them.
    pub anchor: Option<(CertificateId, Scope)>,
    /// The presented certificate at fault, 0 being the leaf.
    pub certificate: Option<usize>,
    /// That certificate's subject, where it can be read.
    pub subject: Option<CertificateName>,
    /// Where in the judgement it failed.
    pub step: Step,
    /// Why.
    pub reason: Reason,
}

impl Finding {
    /// The anchor whose floor refuses, if that is why.
    fn floor(&self) -> Option<&CertificateId> {
        let is_floor = matches!(self.reason, Reason::IssuedBefore(_));
        let anchor = self.anchor.as_ref().filter(|_| is_floor);
        anchor.map(|(anchor, _)| anchor)
    }
}

/// The certificate, by its position and subject, and what is wrong with it.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // That nothing was presented is not something of a leaf.
        let certificate = self
            .certificate
            .filter(|_| self.reason != Reason::NotPresented);
        match certificate {
            Some(0) => f.write_str("leaf")?,
            Some(position) => write!(f, "presented certificate {position}")?,
            None => return write!(f, "{}", self.reason),
        }
        match &self.subject {
            Some(subject) => write!(f, " (`{subject}`): {}", self.reason),
            None => write!(f, ": {}", self.reason),
        }
    }
}

/// Where in the judgement something failed, in the order of docs/specification.md, section 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Looking up what is active.
    Trust,
    /// Reading the leaf.
    Leaf,
    /// Taking an anchor as a candidate.
    Candidate,
    /// Verifying the leaf directly under an anchor.
    DirectPath,
    /// Verifying the leaf through presented intermediates.
    ChainPath,
    /// Comparing the verified leaf's age with the anchor's floor.
    Floor,
    /// Looking the leaf up among what is denied.
    Denial,
    /// Asking the selected anchor's policy.
    Policy,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $(($field:ident: $type:ty))? = $name:literal, $says:literal, $fix:literal;)*) => {
        /// Why a step failed.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Reason {
            $($(#[$doc])* $variant $(($type))?,)*
        }

        impl Reason {
            /// The reason's name, for programs.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn fix(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $fix,)* }
            }
        }

        impl std::fmt::Display for Reason {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self { $(Self::$variant $(($field))? => write!(f, $says),)* }
            }
        }
    };
}

reasons! {
    /// The project is not in the trust set.
    UnknownProject = "unknown_project",
        "the project is not in the trust set",
        "wait until the gateway has the revision that made the project";
    /// No certificate was presented.
    NotPresented = "not_presented",
        "the client presented no certificate",
        "give the client a certificate and its key, and make it send them: a client whose key or issuer the server did not ask for sends nothing, and a gateway asks for keys of RSA (not RSASSA-PSS), P-256, P-384, P-521 and Ed25519, and for no issuer in particular";
    /// A presented certificate cannot be read.
    Malformed(what: Malformed) = "malformed",
        "the certificate cannot be read: {what}",
        "issue the certificate again as X.509 version 3 in DER";
    /// The leaf does not say which key signed it.
    NoAuthorityKeyIdentifier = "no_authority_key_identifier",
        "the certificate has no authorityKeyIdentifier extension (2.5.29.35) with a key identifier",
        "issue the certificate again with the `authorityKeyIdentifier=keyid` extension";
    /// An intermediate does not say which key it has.
    NoSubjectKeyIdentifier = "no_subject_key_identifier",
        "the certificate has no subjectKeyIdentifier extension (2.5.29.14)",
        "issue the intermediate again with the `subjectKeyIdentifier=hash` extension";
    /// An active anchor cannot be used at all.
    AnchorUnusable(why: String) = "anchor_unusable",
        "the anchor cannot be used: {why}",
        "deactivate this anchor and upload a corrected one";
    /// The anchor is not valid any more.
    AnchorExpired(at: TimeAndNow) = "anchor_expired",
        "the anchor expired at {at}",
        "upload and activate the anchor's successor";
    /// The anchor is not valid yet.
    AnchorNotYetValid(at: TimeAndNow) = "anchor_not_yet_valid",
        "the anchor is not valid before {at}",
        "wait, or activate an anchor that is valid now";
    /// The leaf was signed by another key than this anchor's.
    OtherKey = "other_key",
        "the certificate's authority key identifier is not this anchor's key",
        "if this anchor issued the certificate, issue it again with this anchor's key identifier; if an intermediate did, send that too";
    /// The key identifiers match, the names do not.
    OtherIssuer = "other_issuer",
        "the key identifiers match, but the certificate's issuer is not this anchor's subject",
        "should this client be accepted at all? then activate the anchor that bears the issuer's name";
    /// The key identifiers match, and so does the text of the names, but not their bytes.
    OtherEncoding(types: StringTypes) = "other_encoding",
        "the key identifiers match, but its issuer's name is the same text in another string type: {types}, and names are compared byte for byte",
        "issue the certificate again with the issuer's name copied byte for byte from the CA's subject";
    /// The issuer of a certificate was neither presented nor is it active.
    IssuerNotPresented(issuer: MissingIssuer) = "issuer_not_presented",
        "its issuer, {issuer}, was not presented",
        "should this client be accepted at all? then make it send this intermediate with its certificate, or activate the issuer as an anchor if everyone whom it vouches for should be";
    /// The anchor signed an intermediate perhaps, but none was presented that leads to it.
    NoPath = "no_path",
        "no presented certificate leads to this anchor",
        "should this client be accepted at all? then make it send its intermediates, or activate the anchor that issued its certificate if everyone whom it vouches for should be";
    /// A certificate of the path is not valid any more.
    Expired(at: TimeAndNow) = "expired",
        "the certificate expired at {at}",
        "renew the certificate, and check the clock if that time lies ahead";
    /// A certificate of the path is not valid yet.
    NotYetValid(at: TimeAndNow) = "not_yet_valid",
        "the certificate is not valid before {at}",
        "wait, or check the clocks of this machine and of the issuer";
    /// The leaf is a CA.
    LeafIsCa = "leaf_is_ca",
        "the leaf is a CA certificate (basicConstraints, 2.5.29.19, says CA:TRUE)",
        "present a certificate that the CA issued, not the CA itself";
    /// A certificate that signed another may not.
    NotCa = "not_ca",
        "the certificate is not a CA (basicConstraints, 2.5.29.19, does not say CA:TRUE)",
        "issue through a CA certificate";
    /// The key usage forbids this use.
    KeyUsage(missing: &'static str) = "key_usage",
        "the certificate's keyUsage (2.5.29.15) lacks {missing}",
        "issue the certificate again with that key usage, or without the extension";
    /// The extended key usage forbids this use.
    ExtendedKeyUsage = "extended_key_usage",
        "the certificate's extendedKeyUsage (2.5.29.37) lacks clientAuth (1.3.6.1.5.5.7.3.2)",
        "issue the certificate again with clientAuth among its extended key usages";
    /// The key is too weak, of a kind that is not supported, or has an odd exponent.
    WeakKey(key: String) = "weak_key",
        "the certificate's key ({key}) is too weak or not supported",
        "use RSA of 2048 to 8192 bits with the usual exponent 65537, P-256, P-384, P-521 or Ed25519";
    /// The signature's algorithm is too weak or not supported.
    WeakSignature = "weak_signature",
        "a signature's algorithm is too weak, not supported, or does not fit the issuer's key",
        "sign with SHA-256 or better, and a key that is supported";
    /// A critical extension is unknown here.
    UnknownCriticalExtension(id: CriticalExtension) = "unknown_critical_extension",
        "the certificate has a critical extension that is not processed here{id}",
        "issue the certificate again without it, or not critical";
    /// More CAs stand below one than it allows.
    PathLength = "path_length",
        "more intermediates stand below this CA than its pathLenConstraint (in basicConstraints, 2.5.29.19) allows",
        "issue from a CA higher up, or raise pathLenConstraint";
    /// A signature does not verify.
    BadSignature = "bad_signature",
        "the signature does not verify under the issuer's key",
        "present the certificate that this anchor really issued; if the anchor was renewed with another key, activate the new one";
    /// A name is outside of what a CA may name.
    NameConstraints = "name_constraints",
        "a name is not permitted by the nameConstraints (2.5.29.30) of a CA above it, or they are of a kind that is not processed here",
        "issue the certificate with permitted names, or from a CA without that constraint";
    /// A revocation list names a certificate of the path.
    Revoked(by: Box<Revoked>) = "revoked",
        "the certificate was {by}",
        "give the client a new certificate if it should still be accepted; if the CA took the revocation back, upload its current list";
    /// The anchor asks for a current revocation list, and there is none.
    NoCurrentList(what: NoCurrentList) = "crl_missing",
        "whether the certificate is revoked is not known: {what}",
        "upload the issuer's current revocation list, or let the anchor allow certificates without one";
    /// More work would be needed than is done for one chain.
    Budget(of: &'static str) = "budget",
        "judging the chain takes more work than is allowed: too many {of}",
        "present the leaf and its own intermediates only, with keys of P-256 where that is open";
    /// The anchor may have issued the leaf, but what came before it took all the work there is.
    NotTried = "not_tried",
        "the anchor was not tried: the work that is allowed was spent before",
        "deactivate anchors that have the same name and key identifier and are not needed";
    /// The leaf itself is denied.
    LeafDenied(by: DeniedBy) = "leaf_denied",
        "the certificate is denied by {by}",
        "give the client another certificate, or delete the denial";
    /// The leaf's key is denied.
    KeyDenied(by: DeniedBy) = "key_denied",
        "the certificate's key is denied by {by}",
        "give the client a certificate with another key, or delete the denial";
    /// The leaf's issuer and serial number are denied.
    SerialDenied(by: DeniedBy) = "serial_denied",
        "the certificate's serial number is denied by {by}",
        "give the client another certificate, or delete the denial";
    /// A name of the leaf is denied.
    NameDenied(by: DeniedBy) = "name_denied",
        "a subject alternative name of the certificate is denied by {by}",
        "give the client a certificate without that name, or delete the denial";
    /// A name is denied, and those of the leaf cannot be read.
    UnreadableNames = "unreadable_names",
        "the certificate's subject alternative names cannot be read, or are more than 1000, and some name is denied",
        "issue the certificate again with names that can be read, or delete the denials of names";
    /// The leaf was issued before the anchor's floor.
    IssuedBefore(what: BelowFloor) = "issued_before_floor",
        "the certificate was issued at {what}",
        "renew the certificate";
    /// The policy said no.
    PolicyDenied = "policy_denied",
        "the anchor's policy is false for this certificate",
        "issue the certificate with the attributes that the policy asks for, or change the policy";
    /// The leaf has more names than a policy may see.
    TooManyNames = "too_many_names",
        "the certificate has more subject alternative names than a policy may see: at most 100, of 8192 bytes together",
        "issue the certificate with fewer names, or remove the names from the anchor's policy";
    /// The policy could not be evaluated.
    PolicyFailed(why: String) = "policy_failed",
        "the anchor's policy could not be evaluated: {why}",
        "correct the policy";
}

impl Reason {
    fn denied_by(&self) -> Option<&DeniedBy> {
        match self {
            Self::LeafDenied(by)
            | Self::KeyDenied(by)
            | Self::SerialDenied(by)
            | Self::NameDenied(by) => Some(by),
            _ => None,
        }
    }

    fn revoked_by(&self) -> Option<CrlOfIssuer> {
        let Self::Revoked(by) = self else {
            return None;
        };
        Some(CrlOfIssuer {
            certificate: by.anchor.clone(),
            issuer_sha256: by.issuer,
        })
    }
}

/// An issuer that was not presented: its name and its key's identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingIssuer {
    name: CertificateName,
    key_identifier: Box<[u8]>,
}

impl MissingIssuer {
    /// The most bytes of a key identifier that are shown: SHA-512, the longest in use.
    const MAX_SHOWN: usize = 64;

    pub(crate) fn new(name: &[u8], key_identifier: &[u8]) -> Self {
        let shown = key_identifier.len().min(Self::MAX_SHOWN);
        Self {
            name: CertificateName::new(name),
            key_identifier: key_identifier.get(..shown).unwrap_or_default().into(),
        }
    }
}

impl std::fmt::Display for MissingIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = data_encoding::HEXLOWER.encode(&self.key_identifier);
        write!(f, "`{}`, key identifier {key}", self.name)
    }
}

/// How two names write the same text: a certificate's issuer, and the subject of a CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StringTypes {
    pub(crate) issuer: String,
    pub(crate) subject: String,
}

impl std::fmt::Display for StringTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { issuer, subject } = self;
        write!(f, "{issuer} in the certificate, {subject} in the CA")
    }
}

/// A critical extension that is not processed, if it is known which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalExtension(pub(crate) Option<ObjectId>);

impl std::fmt::Display for CriticalExtension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |id| write!(f, ": {id}"))
    }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Refusal", 3)?;
        fields.serialize_field("code", self.code.as_str())?;
        fields.serialize_field("revision", &self.revision)?;
        fields.serialize_field("trace", &self.trace)?;
        fields.end()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scope = self
            .anchor
            .as_ref()
            .map(|(_, scope)| scope.project().map_or("organization", ProjectId::as_str));
        let mut fields = serializer.serialize_struct("Finding", 8)?;
        fields.serialize_field("anchor", &self.anchor.as_ref().map(|(id, _)| id.as_str()))?;
        fields.serialize_field("scope", &scope)?;
        fields.serialize_field("certificate", &self.certificate)?;
        let subject = self.subject.as_ref().map(ToString::to_string);
        fields.serialize_field("subject", &subject)?;
        fields.serialize_field("step", &self.step)?;
        fields.serialize_field("reason", self.reason.name())?;
        fields.serialize_field("message", &self.to_string())?;
        fields.serialize_field("fix", self.reason.fix())?;
        fields.end()
    }
}
