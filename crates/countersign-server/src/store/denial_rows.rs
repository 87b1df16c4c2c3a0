//! Denials as gateways and assertions need them.

use countersign_types::{bundle::BundleDenial, certificate::Scope, id::OrganizationId};

use super::{
    StoreError,
    connection::Connection,
    json_column,
    row::{FromRow, Row},
    value::params,
};

/// The denials that decide an assertion: those that are enforced, at the organization or at a project that
/// one is about.
pub(super) async fn asserted(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<BundleDenial>, StoreError> {
    let sql = format!(
        "SELECT {BUNDLE_COLUMNS} FROM denials d WHERE d.organization_id = $1 AND d.enforcement = 'enforce' \
         AND (d.project_id = '' OR d.project_id IN \
         (SELECT project_id FROM assertions WHERE organization_id = $1)) ORDER BY d.created_at, d.seq"
    );
    connection.query(&sql, params![organization]).await
}

/// What gateways get of a denial.
pub(super) const BUNDLE_COLUMNS: &str = "d.id, d.name, d.matches, d.project_id, d.enforcement, d.created_by, \
     d.created_at, d.expires_at";

impl FromRow for BundleDenial {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            name: row.next()?,
            matches: json_column::from_column(row)?,
            project: row.next::<Scope>()?.project().cloned(),
            enforcement: row.next()?,
            created_by: row.next()?,
            created_at: row.next()?,
            expires_at: row.next()?,
        })
    }
}
