//! Denials: certificates that are refused although they verify (docs/specification.md, section 10; an
//! extension).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::{Enforcement, Scope},
    digest::Sha256,
    id::{self, ApiKeyId, DenialId, ProjectId},
    not_null::not_null,
    or_unknown::OrUnknown,
    page::Listed,
    refused_by::RefusalCounts,
};

/// The most denials that an organization may have.
pub const MAX_DENIALS_PER_ORGANIZATION: usize = 10_000;
/// The most characters of the reason for a denial.
pub const MAX_REASON_CHARACTERS: usize = 1024;
/// The most bytes of an alternative name or an issuer that is denied.
pub const MAX_MATCH_BYTES: usize = 2048;

/// Which object this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DenialObject {
    /// A denial.
    #[serde(rename = "organization.denial")]
    Denial,
}

/// The leaf certificates that a denial refuses, by exactly one of their properties.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DenialMatch {
    /// The one certificate: SHA-256 of its DER.
    LeafSha256(Sha256),
    /// Every certificate of a key: SHA-256 of the DER of its `SubjectPublicKeyInfo`.
    SpkiSha256(Sha256),
    /// The certificates that an issuer gave this serial number.
    IssuerAndSerial(IssuerAndSerial),
    /// Every certificate with this subject alternative name.
    SubjectAltName(SubjectAltName),
}

impl DenialMatch {
    /// The kinds, as the API writes them.
    pub const KINDS: [&'static str; 4] = [
        "leaf_sha256",
        "spki_sha256",
        "issuer_and_serial",
        "subject_alt_name",
    ];

    /// The kind, as the API writes it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::LeafSha256(_) => "leaf_sha256",
            Self::SpkiSha256(_) => "spki_sha256",
            Self::IssuerAndSerial(_) => "issuer_and_serial",
            Self::SubjectAltName(_) => "subject_alt_name",
        }
    }
}

impl fmt::Display for DenialMatch {
    /// What is refused, for a line of text: `leaf 0a1b…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeafSha256(sha256) => write!(f, "leaf {sha256}"),
            Self::SpkiSha256(sha256) => write!(f, "key {sha256}"),
            Self::IssuerAndSerial(both) => {
                write!(f, "serial {} of `{}`", both.serial_number, both.issuer)
            }
            Self::SubjectAltName(name) => write!(f, "{name}"),
        }
    }
}

/// A certificate as its issuer numbers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IssuerAndSerial {
    /// The issuer's name, as RFC 4514 writes it: `CN=Issuing CA,O=Example`. Case, spaces around its parts and
    /// their order do not matter.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 2048))]
    pub issuer: String,
    /// The serial number in hexadecimal. Case, colons and leading zeros do not matter.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub serial_number: String,
}

/// The kind of a subject alternative name, as policies write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SubjectAltNameType {
    /// A host name.
    #[serde(rename = "DNS")]
    Dns,
    /// A mail address.
    #[serde(rename = "EMAIL")]
    Email,
    /// An IP address.
    #[serde(rename = "IP_ADDRESS")]
    IpAddress,
    /// A URI, for example a SPIFFE ID.
    #[serde(rename = "URI")]
    Uri,
    /// An `otherName`, for example a user principal name.
    #[serde(rename = "CUSTOM")]
    Custom,
}

impl SubjectAltNameType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Dns,
        Self::Email,
        Self::IpAddress,
        Self::Uri,
        Self::Custom,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "DNS",
            Self::Email => "EMAIL",
            Self::IpAddress => "IP_ADDRESS",
            Self::Uri => "URI",
            Self::Custom => "CUSTOM",
        }
    }
}

impl FromStr for SubjectAltNameType {
    type Err = UnknownSubjectAltNameType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text));
        // What OpenSSL calls it.
        let found = found.or_else(|| text.eq_ignore_ascii_case("IP").then_some(Self::IpAddress));
        found.ok_or(UnknownSubjectAltNameType)
    }
}

/// A word that is no kind of a subject alternative name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subject alternative name is of type `DNS`, `EMAIL`, `IP_ADDRESS`, `URI` or `CUSTOM`")]
pub struct UnknownSubjectAltNameType;

/// A subject alternative name.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubjectAltName {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: SubjectAltNameType,
    /// Its value. Names and hosts are compared without case, addresses and URIs in their normal forms; nothing
    /// in it is a pattern.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 2048))]
    pub value: String,
    /// With `CUSTOM`, the object identifier of the name's kind, in dotted decimals.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub oid: Option<String>,
}

impl fmt::Display for SubjectAltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if let Some(oid) = &self.oid {
            write!(f, "({oid})")?;
        }
        write!(f, ":{}", self.value)
    }
}

/// A denial: certificates that are refused although they verify.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Denial {
    /// Always `organization.denial`.
    #[cfg_attr(feature = "openapi", schema(value_type = DenialObject))]
    pub object: OrUnknown<DenialObject>,
    /// Its id, `deny_…`.
    pub id: DenialId,
    /// Its name.
    pub name: String,
    /// Why it was made, or null.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub reason: Option<String>,
    /// What it refuses, in the normal form that is compared.
    #[serde(rename = "match")]
    pub matches: DenialMatch,
    /// The project where it holds; null for every project, and admin keys.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub project_id: Option<ProjectId>,
    /// Whether it refuses, or only counts and logs what it would refuse.
    #[cfg_attr(feature = "openapi", schema(value_type = Enforcement))]
    pub enforcement: OrUnknown<Enforcement>,
    /// When it was created, in Unix seconds. It is in force from then on.
    pub created_at: UnixSeconds,
    /// The second from which it refuses nothing any more; null for never.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub expires_at: Option<UnixSeconds>,
    /// The key that created it.
    pub created_by: ApiKeyId,
    /// What it refused, with `include[]=usage`.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub usage: Option<RefusalCounts>,
}

impl Denial {
    /// Where it holds.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::from(self.project_id.clone())
    }
}

impl Listed for Denial {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// Creates a denial.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DenialCreateRequest {
    /// Its name: 1 to 256 characters, no control characters.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub name: String,
    /// Why it is made: 1 to 1,024 characters.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(
        feature = "openapi",
        schema(nullable = false, min_length = 1, max_length = 1024)
    )]
    pub reason: Option<String>,
    /// What it refuses: exactly one of the properties.
    #[serde(rename = "match")]
    pub matches: DenialMatch,
    /// The project where it holds; without it, every project.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project_id: Option<ProjectId>,
    /// With `report`, what it would refuse is only counted and logged.
    #[serde(default)]
    pub enforcement: Enforcement,
    /// The second from which it refuses nothing any more, in Unix seconds, later than now.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub expires_at: Option<UnixSeconds>,
}

/// Which object was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum DeletedDenialObject {
    /// A denial.
    #[serde(rename = "organization.denial.deleted")]
    Deleted,
}

/// A denial was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeletedDenial {
    /// Always `organization.denial.deleted`.
    #[cfg_attr(feature = "openapi", schema(value_type = DeletedDenialObject))]
    pub object: OrUnknown<DeletedDenialObject>,
    /// Its id.
    pub id: DenialId,
    /// Always true.
    pub deleted: bool,
}
