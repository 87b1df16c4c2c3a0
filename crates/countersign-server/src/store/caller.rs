//! Whose key it is, as it is kept for all who ask for it at once.

use countersign_types::{
    UnixSeconds,
    api_key::{KeyKind, Permission},
    id::{ApiKeyId, OrganizationId, ProjectId},
};

use super::reach::Reach;

/// Whose key it is. Expiry and an archived project are reported here; whether the key may still be
/// used is for the caller of the store to decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The organization; `None` for a gateway's key.
    pub organization: Option<OrganizationId>,
    /// The key's id.
    pub key: ApiKeyId,
    /// Which kind of key it is.
    pub kind: KeyKind,
    /// What an admin key may do; empty for other kinds.
    pub permissions: Vec<Permission>,
    /// The project that a project key calls as.
    pub project: Option<ProjectId>,
    /// Whether that project is archived.
    pub project_archived: bool,
    /// When the key stops working, in Unix seconds.
    pub expires_at: Option<UnixSeconds>,
    /// Which organizations a gateway's key reaches.
    pub reach: Reach,
}
