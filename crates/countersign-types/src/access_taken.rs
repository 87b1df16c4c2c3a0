//! Events of what takes access away. The reference has no type for them, so a denial is an
//! `organization.updated`, and a floor a `certificate.updated`.

use serde_json::{Value, json};

use crate::{
    UnixSeconds,
    certificate::Enforcement,
    denial::DenialMatch,
    id::{CertificateId, DenialId, OrganizationId},
};

/// What happened to a denial or to a floor.
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
            Self::Floor { .. } => "certificate.updated",
        }
    }

    pub(crate) fn resource_id(&self) -> &str {
        match self {
            Self::Denial { id, .. } => id.as_str(),
            Self::Floor { id, .. } => id.as_str(),
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
                match name {
                    Some(name) => json!({ "id": id, "name": name, "floor": floor }),
                    None => json!({ "id": id, "floor": floor }),
                }
            }
        }
    }
}
