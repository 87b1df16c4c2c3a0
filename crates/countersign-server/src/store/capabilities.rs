//! What gateways must understand to enforce what organizations have, and which of them do not.

use std::collections::BTreeSet;

use countersign_types::{
    bundle::OrganizationBundle, capability::Capability, id::OrganizationId, or_unknown::OrUnknown,
};

use super::{
    StoreError,
    connection::Connection,
    row::{FromRow, Row},
    value::params,
};

/// What there is to understand, in an order.
pub(super) type Capabilities = BTreeSet<Capability>;

/// As it is stored.
pub(super) fn to_text(understood: &[Capability]) -> String {
    let words: BTreeSet<&str> = understood.iter().map(|each| each.as_str()).collect();
    Vec::from_iter(words).join(",")
}

/// What is stored, without what this program does not know.
pub(super) fn from_text(text: &str) -> Capabilities {
    let known = Capability::ALL.into_iter();
    known
        .filter(|known| text.split(',').any(|word| word == known.as_str()))
        .collect()
}

/// What is needed and not understood.
pub(super) fn lacking(
    needed: &Capabilities,
    understood: &Capabilities,
) -> Vec<OrUnknown<Capability>> {
    needed
        .difference(understood)
        .copied()
        .map(OrUnknown::from)
        .collect()
}

/// What a gateway must understand to enforce an organization's trust.
#[must_use]
pub fn needed_by(organization: &OrganizationBundle) -> BTreeSet<Capability> {
    let certificates = &organization.certificates;
    let has_floor = |each: &countersign_types::bundle::BundleCertificate| {
        each.floor.is_some() || each.reported_floor.is_some()
    };
    let needs = [
        (Capability::Denials, !organization.denials.is_empty()),
        (Capability::Floors, certificates.iter().any(has_floor)),
        (
            Capability::RevocationLists,
            certificates.iter().any(|each| each.revocation.is_some()),
        ),
    ];
    let needed = needs.into_iter().filter(|(_, needed)| *needed);
    needed.map(|(capability, _)| capability).collect()
}

/// What an organization needs.
pub(super) struct Needs {
    pub(super) organization: OrganizationId,
    pub(super) needed: Capabilities,
}

/// The organizations that need something of gateways; only this one, if one is given. Floors and lists of anchors that are active nowhere
/// are in no bundle.
pub(super) async fn read_needs(
    connection: &mut Connection,
    only: Option<&OrganizationId>,
) -> Result<Vec<Needs>, StoreError> {
    // PostgreSQL's literals are 32 bits wide.
    const SQL: &str = "SELECT o.id, CAST(CASE WHEN o.denials > 0 THEN 1 ELSE 0 END AS BIGINT), \
        CAST(coalesce(c.floors, 0) AS BIGINT), CAST(coalesce(c.lists, 0) AS BIGINT) FROM organizations o LEFT JOIN (\
          SELECT organization_id, \
          max(CASE WHEN floor IS NULL AND reported_floor IS NULL THEN 0 ELSE 1 END) AS floors, \
          max(CASE WHEN crls = 0 AND crl_missing IS NULL THEN 0 ELSE 1 END) AS lists FROM certificates \
          WHERE (floor IS NOT NULL OR reported_floor IS NOT NULL OR crls > 0 OR crl_missing IS NOT NULL) \
          AND id IN (SELECT certificate_id FROM activations) GROUP BY organization_id) AS c \
        ON c.organization_id = o.id \
        WHERE ($1 = '' OR o.id = $1) AND (o.denials > 0 OR c.organization_id IS NOT NULL)";
    let only = only.map_or("", OrganizationId::as_str);
    connection.query(SQL, params![only]).await
}

impl FromRow for Needs {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let organization = row.next()?;
        let mut needed = Capabilities::new();
        for capability in Capability::ALL {
            if row.next::<u64>()? != 0 {
                needed.insert(capability);
            }
        }
        Ok(Self {
            organization,
            needed,
        })
    }
}
