//! Events of what takes access away. The reference has no type for them, so a denial is an
//! `organization.updated`, and a floor or a revocation list a `certificate.updated`.

use serde_json::{Value, json};

use crate::{
    UnixSeconds,
    certificate::Enforcement,
    crl::{Crl, CrlMissing},
    denial::DenialMatch,
    id::{CertificateId, DenialId, OrganizationId},
};

/// What happened to a denial, a floor or a revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTaken {
    /// A denial.
    Denial {
        /// Its organization.
        organization: OrganizationId,
        /// Its id.
        id: DenialId,
        /// Its name.
        name: String,
        /// What it refuses.
        matches: DenialMatch,
        /// What happened to it.
        change: DenialChange,
    },
    /// A floor was set or removed.
    Floor {
        /// The certificate.
        id: CertificateId,
        /// The certificate's name.
        name: Option<String>,
        /// The floor now.
        refuse_issued_before: Option<UnixSeconds>,
        /// Whether it is the one that is enforced, or the one that is only reported.
        enforcement: Enforcement,
    },
    /// A revocation list.
    Crl {
        /// The certificate that it belongs to.
        id: CertificateId,
        /// The certificate's name.
        name: Option<String>,
        /// The list: after the change, or before it was deleted.
        crl: Box<Crl>,
        /// What happened to it.
        change: CrlChange,
    },
    /// What a missing revocation list means was set.
    CrlMissing {
        /// The certificate.
        id: CertificateId,
        /// The certificate's name.
        name: Option<String>,
        /// What it means now; null for what holds by default.
        crl_missing: Option<CrlMissing>,
    },
}

/// What happened to a revocation list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlChange {
    /// It is the first of its CA here.
    Added,
    /// It replaced the CA's earlier one.
    Replaced,
    /// It was deleted.
    Deleted,
}

impl CrlChange {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "crl_added",
            Self::Replaced => "crl_replaced",
            Self::Deleted => "crl_deleted",
        }
    }
}

/// What happened to a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialChange {
    /// Created.
    Created,
    /// Deleted.
    Deleted,
}

impl AccessTaken {
    pub(crate) const fn event_type(&self) -> &'static str {
        match self {
            Self::Denial { .. } => "organization.updated",
            Self::Floor { .. } | Self::Crl { .. } | Self::CrlMissing { .. } => {
                "certificate.updated"
            }
        }
    }

    pub(crate) fn resource_id(&self) -> &str {
        match self {
            Self::Denial { id, .. } => id.as_str(),
            Self::Floor { id, .. } | Self::Crl { id, .. } | Self::CrlMissing { id, .. } => {
                id.as_str()
            }
        }
    }

    pub(crate) fn details(&self) -> Value {
        match self {
            Self::Denial {
                organization,
                id,
                name,
                matches,
                change,
            } => {
                let what = match change {
                    DenialChange::Created => "denial_created",
                    DenialChange::Deleted => "denial_deleted",
                };
                let denial = json!({ "id": id, "name": name, "match": matches });
                json!({ "id": organization, "changes_requested": { what: denial } })
            }
            Self::Floor {
                id,
                name,
                refuse_issued_before,
                enforcement,
            } => {
                let floor = json!({
                    "refuse_issued_before": refuse_issued_before, "enforcement": enforcement,
                });
                of_certificate(id, name.as_deref(), "floor", floor)
            }
            Self::Crl {
                id,
                name,
                crl,
                change,
            } => {
                let crl = json!({
                    "id": crl.id, "issuer": crl.issuer, "number": crl.number, "this_update": crl.this_update,
                    "next_update": crl.next_update, "entries": crl.entries, "sha256": crl.sha256,
                });
                of_certificate(id, name.as_deref(), change.as_str(), crl)
            }
            Self::CrlMissing {
                id,
                name,
                crl_missing,
            } => of_certificate(id, name.as_deref(), "crl_missing", json!(crl_missing)),
        }
    }
}

/// What happened to a certificate, which may have a name.
fn of_certificate(id: &CertificateId, name: Option<&str>, what: &str, change: Value) -> Value {
    match name {
        Some(name) => json!({ "id": id, "name": name, what: change }),
        None => json!({ "id": id, what: change }),
    }
}
