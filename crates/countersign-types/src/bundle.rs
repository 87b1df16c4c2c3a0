//! What a gateway needs to judge requests: whole organizations, numbered by revision. This is the
//! only contract between control plane and gateway (docs/specification.md, section 4). A gateway
//! reads it strictly: what it judges by must be what Countersign writes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

pub use crate::bundle_keys::{BundleKey, KeyChanges, KeysSum};
pub use crate::crl::CrlMissing;
use crate::{
    UnixSeconds,
    capability::Capability,
    certificate::Enforcement,
    denial::DenialMatch,
    digest::Sha256,
    history::{HistoryPoint, RevisionToken},
    id::{
        self, ApiKeyId, CertificateId, DenialId, GatewayId, OrganizationId, ProjectId, ReceiptKeyId,
    },
    or_unknown::OrUnknown,
    revoked_set::RevokedSet,
    token::BundleFederation,
};

/// The response of `GET /v1/countersign/bundle?after=REVISION&token=TOKEN`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Bundle {
    /// The deployment's revision after applying this: `after` for the next request.
    pub revision: u64,
    /// That revision's token: `token` for the next request. All zeros from a server that keeps
    /// none.
    #[serde(default)]
    pub token: RevisionToken,
    /// Whether `organizations` lists every organization, not only those that changed: the reader
    /// then drops those that are missing. This happens when `after` and `token` are not in the
    /// server's history, for example after a restored backup.
    pub complete: bool,
    /// The organizations that changed after that point, each one whole but for its keys, of which only the changes
    /// may be sent to a reader that can apply them.
    pub organizations: Vec<OrganizationBundle>,
    /// Where this is a page of every organization and there may be more: `from` for the request for the
    /// next page.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next: Option<OrganizationId>,
}

impl Bundle {
    /// The point in the history after applying this.
    #[must_use]
    pub const fn point(&self) -> HistoryPoint {
        HistoryPoint {
            revision: self.revision,
            token: self.token,
        }
    }
}

/// The response of `GET /v1/countersign/bundle/digests`: the digest of every organization's
/// bundle, or a page of them.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleDigests {
    /// A revision that the digests are at least as recent as.
    pub revision: u64,
    /// That revision's token.
    pub token: RevisionToken,
    /// Every organization, or those of the page.
    pub organizations: Vec<OrganizationDigest>,
    /// Where this is a page and there may be more: `from` for the request for the next page.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub next: Option<OrganizationId>,
}

/// The digest of an organization's bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationDigest {
    /// The organization.
    #[serde(deserialize_with = "id::checked")]
    pub id: OrganizationId,
    /// The digest of its bundle.
    pub digest: Sha256,
}

/// What is needed of an organization to judge its requests.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrganizationBundle {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub id: OrganizationId,
    /// The deployment's revision at its latest change.
    pub revision: u64,
    /// The SHA-256 of this object as the server wrote it in JSON, without this field, its keys and their
    /// changes. A reader keeps it for comparison and never computes it, since the reader may not know
    /// every field.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub digest: Option<Sha256>,
    /// The certificates that are active anywhere.
    pub certificates: Vec<BundleCertificate>,
    /// The anchors that are enforced for the organization, oldest activation first.
    #[serde(deserialize_with = "id::checked")]
    pub active: Vec<CertificateId>,
    /// All anchors that are active for the organization, enforced or only reported, oldest
    /// activation first; empty when none is only reported.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "id::checked"
    )]
    pub with_reported: Vec<CertificateId>,
    /// Its projects.
    pub projects: Vec<BundleProject>,
    /// Its admin and project keys; none where their changes are sent instead.
    pub keys: Vec<BundleKey>,
    /// The exclusive or, over its keys, of the SHA-256 of each key's `id`, `kind`, `sha256`, `project` (or `-`) and
    /// `expires_at` (or nothing), with a space between them. Whoever applies changes of keys must come to it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub keys_sum: Option<Sha256>,
    /// What changed of its keys after the point that was asked after, where the reader said that it can apply
    /// that.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub key_changes: Option<KeyChanges>,
    /// What its tokens are verified with; absent where it has no federation rules.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub federation: Option<BundleFederation>,
    /// Where its audit log was after its latest change, for receipts; absent where the latest change is of a
    /// version before them.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub audit: Option<BundleAudit>,
    /// The keys of gateways whose receipts it believes.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "id::checked"
    )]
    pub receipt_keys: Vec<ReceiptKeyId>,
    /// What is refused although it verifies, oldest first; absent where nothing is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<BundleDenial>,
}

/// The newest event of an organization's audit log after a change, and that change's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleAudit {
    /// The event's number.
    pub number: u64,
    /// Its hash.
    pub sha256: Sha256,
    /// The token of the change.
    pub token: RevisionToken,
}

/// A trust anchor.
#[skip_serializing_none]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleCertificate {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub id: CertificateId,
    /// Its PEM as uploaded.
    pub pem: String,
    /// Its CEL policy, if it has one.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub cel_policy: Option<String>,
    /// The policy that is only reported in its place, if there is one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported_policy: Option<String>,
    /// Its revocation lists, if it has any or needs some.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub revocation: Option<BundleRevocation>,
    /// Which leaves it refuses by their age, if it does.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub floor: Option<BundleFloor>,
    /// The floor that is only reported in its place, if there is one.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reported_floor: Option<BundleFloor>,
}

/// An anchor's revocation lists, and what it means that one is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleRevocation {
    /// What happens to a certificate of whose issuer there is no current list.
    pub missing: CrlMissing,
    /// The lists, one for each issuer.
    pub lists: Vec<BundleRevocationList>,
}

/// A revocation list, without the serial numbers that it names: they are a set of their own, known by its
/// digest, so that an organization's other changes do not send them again.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleRevocationList {
    /// The SHA-256 of its issuer's name and key.
    pub issuer: Sha256,
    /// Its issuer's name, to be shown.
    pub issuer_name: String,
    /// Its number, if it has one.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub number: Option<String>,
    /// When it was made, in Unix seconds.
    pub this_update: UnixSeconds,
    /// The last second at which it is current, in Unix seconds.
    pub next_update: UnixSeconds,
    /// Whether it says nothing of CA certificates.
    #[serde(default)]
    pub only_user_certificates: bool,
    /// The SHA-256 of the set of serial numbers.
    pub revoked: Sha256,
    /// That set, once it is at hand.
    #[serde(skip)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub set: Option<Arc<RevokedSet>>,
}

/// From when on the leaves under an anchor must have been issued, who set that, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleFloor {
    /// A leaf whose `notBefore` is earlier is refused, in Unix seconds.
    pub refuse_issued_before: UnixSeconds,
    /// The key that set it.
    #[serde(deserialize_with = "id::checked")]
    pub set_by: ApiKeyId,
    /// When, in Unix seconds.
    pub set_at: UnixSeconds,
}

/// A denial.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleDenial {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub id: DenialId,
    /// Its name.
    pub name: String,
    /// What it refuses.
    #[serde(rename = "match")]
    pub matches: DenialMatch,
    /// The project where it holds; absent for all of them.
    #[serde(default, deserialize_with = "id::checked")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<ProjectId>,
    /// Whether it is enforced or only reported.
    #[cfg_attr(feature = "openapi", schema(value_type = Enforcement))]
    pub enforcement: Enforcement,
    /// The key that created it.
    #[serde(deserialize_with = "id::checked")]
    pub created_by: ApiKeyId,
    /// When, in Unix seconds. It is in force whatever the reader's clock says of this.
    pub created_at: UnixSeconds,
    /// The second from which it refuses nothing any more.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub expires_at: Option<UnixSeconds>,
}

impl OrganizationBundle {
    /// Every revocation list in it.
    pub fn revocation_lists(&self) -> impl Iterator<Item = &BundleRevocationList> {
        let revocations = self.certificates.iter();
        let revocations = revocations.filter_map(|each| each.revocation.as_ref());
        revocations.flat_map(|each| &each.lists)
    }

    /// Every revocation list in it, to have its set put to it.
    pub fn revocation_lists_mut(&mut self) -> impl Iterator<Item = &mut BundleRevocationList> {
        let revocations = self.certificates.iter_mut();
        let revocations = revocations.filter_map(|each| each.revocation.as_mut());
        revocations.flat_map(|each| &mut each.lists)
    }
}

impl std::fmt::Debug for BundleCertificate {
    /// Only the id: a PEM body must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BundleCertificate({})", self.id)
    }
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleProject {
    /// Its id.
    #[serde(deserialize_with = "id::checked")]
    pub id: ProjectId,
    /// Whether it is archived: its keys are then refused.
    pub archived: bool,
    /// The anchors that are enforced for the project, oldest activation first.
    #[serde(deserialize_with = "id::checked")]
    pub active: Vec<CertificateId>,
    /// All anchors that are active for the project, enforced or only reported, oldest activation
    /// first; empty when none is only reported.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "id::checked"
    )]
    pub with_reported: Vec<CertificateId>,
}

/// A gateway, as `GET /v1/countersign/gateways` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gateway {
    /// The random id that it got at its first start and keeps in its data directory.
    pub id: GatewayId,
    /// The name it was configured with, its host name by default.
    pub name: String,
    /// The deployment's revision that it enforces, durably.
    pub revision: u64,
    /// Whether it still asks for bundles.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = GatewayState))]
    pub state: OrUnknown<GatewayState>,
    /// Whether what it enforces would survive a restart. If not, it may enforce a later revision
    /// than `revision`.
    #[serde(default = "yes")]
    pub durable: bool,
    /// When it last asked for bundles, in Unix seconds.
    pub seen_at: UnixSeconds,
    /// What it passes over of what its organizations have, since its version does not understand it: whatever
    /// `revision` says, it does not enforce that. Absent when there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Capability>, required = false))]
    pub lacks: Vec<OrUnknown<Capability>>,
}

impl Gateway {
    /// Whether a change is not known to be enforced by it. A missing gateway that reported the change
    /// before it vanished enforces it; one that does not understand what there is does not.
    #[must_use]
    pub const fn is_pending(&self, revision: u64) -> bool {
        self.revision < revision || !self.durable || !self.lacks.is_empty()
    }
}

const fn yes() -> bool {
    true
}

/// Whether a gateway still asks for bundles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GatewayState {
    /// It still asks.
    #[default]
    Live,
    /// It stopped asking without a clean shutdown: it may still be letting requests through.
    Missing,
}

/// The gateways that are known, and the deployment's revision.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gateways<T = Gateway> {
    /// The revision of the latest change.
    pub revision: u64,
    /// The gateways that ask for bundles, and those that are missing.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Gateway>))]
    pub gateways: Vec<T>,
    /// Whether the change that was asked about is lost, as after a failover or a restored backup: its
    /// revision is another change's now, or none's yet. Absent when none was asked about, and when the
    /// history does not reach back to it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub lost: Option<bool>,
}
