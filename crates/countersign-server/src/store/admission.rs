//! The digest of what decides whom a federation rule admits: tokens name it, so that a change ends them.

use countersign_types::{
    digest::Sha256, federation_rule::FederationRule,
    workload_identity_provider::WorkloadIdentityProvider,
};

use super::{
    StoreError,
    json_column::to_column,
    row::{FromRow, Row},
};

/// The digest of what decides whom a rule admits, and to what.
///
/// # Errors
/// Never in practice: everything of it was written as JSON before.
pub fn admission_digest(
    provider: &WorkloadIdentityProvider,
    rule: &FederationRule,
) -> Result<Sha256, StoreError> {
    let transformations = to_column(&provider.attribute_transformations)?;
    let (matchers, permissions) = (
        to_column(&rule.attribute_matchers)?,
        to_column(&rule.permissions)?,
    );
    admission(&Deciding {
        transformations,
        conditions: provider.attribute_conditions.clone(),
        matchers,
        permissions,
    })
}

/// What decides whom a rule admits, and to what, as it is kept.
pub(super) struct Deciding {
    pub(super) transformations: String,
    pub(super) conditions: Option<String>,
    pub(super) matchers: String,
    pub(super) permissions: String,
}

pub(super) fn admission(deciding: &Deciding) -> Result<Sha256, StoreError> {
    let all = (
        &deciding.transformations,
        &deciding.conditions,
        &deciding.matchers,
        &deciding.permissions,
    );
    to_column(&all).map(Sha256::of)
}

impl FromRow for Deciding {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            transformations: row.next()?,
            conditions: row.next()?,
            matchers: row.next()?,
            permissions: row.next()?,
        })
    }
}
