//! How rows are read as parts of a bundle.

use countersign_types::{
    UnixSeconds,
    api_key::KeyKind,
    bundle::{BundleCertificate, BundleFloor, BundleKey, BundleProject, BundleRevocation},
    digest::KeyDigest,
    id::ApiKeyId,
    token::{BundleFederationRule, BundleTokenKey},
};

use super::{
    StoreError, admission, certificates,
    row::{FromRow, Row},
    token_keys::public_key,
};

impl FromRow for BundleTokenKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            public_key: public_key(row)?,
            expires_at: row.next()?,
        })
    }
}

impl FromRow for BundleFederationRule {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            provider: row.next()?,
            project: row.next()?,
            service_account: row.next()?,
            admission: admission::admission(&row.several()?)?,
        })
    }
}

impl FromRow for BundleCertificate {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            pem: certificates::pem(row.next()?)?,
            cel_policy: row.next()?,
            reported_policy: row.next()?,
            revocation: row.next::<Option<_>>()?.map(|missing| BundleRevocation {
                missing,
                lists: Vec::new(),
            }),
            floor: floor(row)?,
            reported_floor: floor(row)?,
        })
    }
}

/// A floor, who set it and when; none where there is none.
fn floor(row: &mut Row<'_>) -> Result<Option<BundleFloor>, StoreError> {
    let before: Option<UnixSeconds> = row.next()?;
    let set_by: Option<ApiKeyId> = row.next()?;
    let set_at: Option<UnixSeconds> = row.next()?;
    let all = before.zip(set_by).zip(set_at);
    Ok(
        all.map(|((refuse_issued_before, set_by), set_at)| BundleFloor {
            refuse_issued_before,
            set_by,
            set_at,
        }),
    )
}

impl FromRow for BundleProject {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            archived: row.next::<Option<UnixSeconds>>()?.is_some(),
            active: Vec::new(),
            with_reported: Vec::new(),
        })
    }
}

/// A changed key: its id, and what it is if it is there still.
impl FromRow for (ApiKeyId, Option<BundleKey>) {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let changed = row.next()?;
        let id: Option<ApiKeyId> = row.next()?;
        let kind: Option<KeyKind> = row.next()?;
        let sha256: Option<KeyDigest> = row.next()?;
        let (project, expires_at) = (row.next()?, row.next()?);
        let key = id
            .zip(kind)
            .zip(sha256)
            .map(|((id, kind), sha256)| BundleKey {
                id,
                kind,
                sha256,
                project,
                expires_at,
            });
        Ok((changed, key))
    }
}

impl FromRow for BundleKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.next()?,
            kind: row.next()?,
            sha256: row.next()?,
            project: row.next()?,
            expires_at: row.next()?,
        })
    }
}
