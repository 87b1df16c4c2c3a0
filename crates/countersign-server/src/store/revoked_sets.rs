//! The serial numbers that revocation lists name: kept once in each organization, and in memory once for all.

use std::sync::Arc;

use countersign_types::{
    bundle::{BundleRevocation, BundleRevocationList, OrganizationBundle},
    digest::Sha256,
    id::{CertificateId, OrganizationId},
    known_sets::KnownSets,
    revoked_set::RevokedSet,
};

use super::{
    StoreError,
    connection::Connection,
    row::{FromRow, Row},
    value::params,
};

/// How many bytes of sets stay in memory that nothing is judged by.
pub(super) const KEPT_IN_MEMORY: usize = 64 * 1024 * 1024;

/// What gateways get of a list, the certificate first.
pub(super) const BUNDLE_COLUMNS: &str = "l.certificate_id, l.issuer, l.issuer_name, l.number, l.this_update, l.next_update, \
     l.only_user_certificates, l.revoked";

/// Puts its set to every list of an organization, so that it can be judged by.
pub(super) async fn attach(
    connection: &mut Connection,
    known: &KnownSets,
    organization: &mut OrganizationBundle,
) -> Result<(), StoreError> {
    let id = organization.id.clone();
    for list in organization.revocation_lists_mut() {
        let found = load(connection, known, &id, list.revoked).await?;
        let missing = || StoreError::Corrupt("a revocation list without its set".to_owned());
        list.set = Some(found.ok_or_else(missing)?);
    }
    Ok(())
}

/// A set that an organization has.
pub(super) async fn load(
    connection: &mut Connection,
    known: &KnownSets,
    organization: &OrganizationId,
    sha256: Sha256,
) -> Result<Option<Arc<RevokedSet>>, StoreError> {
    if let Some(set) = known.find(sha256) {
        return Ok(Some(set));
    }
    let records: Option<Vec<u8>> = connection
        .find(
            "SELECT records FROM revoked_sets WHERE organization_id = $1 AND sha256 = $2",
            params![organization, sha256],
        )
        .await?;
    let Some(records) = records else {
        return Ok(None);
    };
    // A million of them are hashed and looked at: that takes a while.
    let read = tokio::task::spawn_blocking(move || RevokedSet::read(records)).await;
    let read = read.map_err(|error| StoreError::Internal(error.to_string()))?;
    let set = read.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    if set.sha256() != sha256 {
        let what = "a set of serial numbers that is not as it was written";
        return Err(StoreError::Corrupt(what.to_owned()));
    }
    Ok(Some(known.add(Arc::new(set))))
}

/// Puts lists to the certificate that they belong to.
pub(super) fn distribute(
    organization: &mut OrganizationBundle,
    lists: impl IntoIterator<Item = CertificateList>,
) {
    for CertificateList { certificate, list } in lists {
        let mut certificates = organization.certificates.iter_mut();
        // One that is active nowhere is not there.
        if let Some(found) = certificates.find(|each| each.id == certificate) {
            let none = || BundleRevocation {
                missing: Default::default(),
                lists: Vec::new(),
            };
            found.revocation.get_or_insert_with(none).lists.push(list);
        }
    }
}

/// A list, and the certificate that it belongs to.
pub(super) struct CertificateList {
    certificate: CertificateId,
    list: BundleRevocationList,
}

/// The lists of an organization.
pub(super) async fn of_organization(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<CertificateList>, StoreError> {
    let sql = format!(
        "SELECT {BUNDLE_COLUMNS} FROM crls l WHERE l.organization_id = $1 ORDER BY l.created_at, l.seq"
    );
    connection.query(&sql, params![organization]).await
}

impl FromRow for CertificateList {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            certificate: row.next()?,
            list: BundleRevocationList {
                issuer: row.next()?,
                issuer_name: row.next()?,
                number: row.next()?,
                this_update: row.next()?,
                next_update: row.next()?,
                only_user_certificates: row.next::<i64>()? != 0,
                revoked: row.next()?,
                set: None,
            },
        })
    }
}
