//! Organizations: made by the operator.

use countersign_types::{api_key::AdminApiKey, id::OrganizationId, organization::Organization};

use super::{Store, StoreError, unfinished};

/// A new organization and its first key, whose value is shown this once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedOrganization {
    /// The organization.
    pub organization: Organization,
    /// Its first admin key, which has every permission; `value` is there.
    pub key: AdminApiKey,
}

impl Store {
    /// Makes an organization and its first admin key, with the audit event of the key.
    /// (Another key for an organization: [`Store::write`] as `Actor::Operator`.)
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn create_organization(
        &self,
        _name: &str,
    ) -> Result<CreatedOrganization, StoreError> {
        Err(unfinished())
    }

    /// Every organization, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        Err(unfinished())
    }

    /// An organization.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_organization(
        &self,
        _id: &OrganizationId,
    ) -> Result<Organization, StoreError> {
        Err(unfinished())
    }
}
