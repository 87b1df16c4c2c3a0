//! The chains that the workloads of a page present.

use std::collections::HashMap;

use countersign_types::{
    digest::{ChainDigest, Sha256},
    id::OrganizationId,
};
use countersign_verify::certificate::LeafSummary;

use super::{
    Store, StoreError,
    connection::Connection,
    observed_chains::{DIGEST_BYTES, read_names, unpack},
    row::{FromRow, Row},
    value::params,
    workloads::WorkloadPage,
};

/// A chain that was presented, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIdentity {
    /// The certificates in DER, leaf first; none when they are not kept.
    pub certificates: Vec<Vec<u8>>,
    /// What the leaf says; empty when it cannot be read.
    pub leaf: LeafSummary,
}

struct ChainRow {
    digest: ChainDigest,
    leaf: Option<Vec<u8>>,
    intermediates: Vec<u8>,
    presented: Option<Vec<u8>>,
    summary: LeafSummary,
}

impl Store {
    /// The chains that the workloads of a page present, by their digest: no more than there are
    /// workloads, some megabytes at the very most.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn chains_of(
        &self,
        organization: &OrganizationId,
        page: &WorkloadPage,
    ) -> Result<HashMap<ChainDigest, ObservedIdentity>, StoreError> {
        let Some((first, last)) = page.chains else {
            return Ok(HashMap::new());
        };
        let limit = u64::try_from(page.workloads.len()).unwrap_or(u64::MAX);
        let mut connection = self.inner.database.snapshot().await?;
        let rows: Vec<ChainRow> = connection
            .query(
                "SELECT c.sha256, k.der, c.intermediates, c.presented, c.subject, c.names, \
                 c.issuer, c.authority_key, c.not_after FROM observed_chains c \
                 LEFT JOIN observed_certificates k ON k.seq = c.leaf \
                 WHERE c.organization_id = $1 AND c.seq >= $2 AND c.seq <= $3 \
                 AND EXISTS (SELECT 1 FROM observed_outcomes o WHERE o.organization_id = $1 \
                 AND o.chain = c.seq AND o.last_day >= $4) ORDER BY c.seq LIMIT $5",
                params![organization, first, last, page.first_day, limit],
            )
            .await?;
        let mut intermediates = HashMap::new();
        let mut chains = HashMap::with_capacity(rows.len());
        for row in rows {
            for digest in row.intermediates.chunks(DIGEST_BYTES) {
                if !intermediates.contains_key(digest) {
                    let der = intermediate(&mut connection, organization, digest).await?;
                    intermediates.insert(digest.to_vec(), der);
                }
            }
            chains.insert(row.digest, row.identity(&intermediates)?);
        }
        Ok(chains)
    }

    /// The chain that a leaf came with last, leaf first, of those that verified; `None` if none is kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn chain_of_leaf(
        &self,
        organization: &OrganizationId,
        leaf: &Sha256,
    ) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let found: Option<(Vec<u8>, Vec<u8>)> = connection
            .find(
                "SELECT k.der, c.intermediates FROM observed_certificates k \
                 JOIN observed_chains c ON c.leaf = k.seq \
                 WHERE k.organization_id = $1 AND k.sha256 = $2 \
                 ORDER BY c.last_day DESC, c.seq DESC LIMIT 1",
                params![organization, leaf],
            )
            .await?;
        let Some((leaf, intermediates)) = found else {
            return Ok(None);
        };
        let mut chain = vec![leaf];
        for digest in intermediates.chunks(DIGEST_BYTES) {
            match intermediate(&mut connection, organization, digest).await? {
                Some(der) => chain.push(der),
                None => return Ok(None),
            }
        }
        Ok(Some(chain))
    }
}

impl ChainRow {
    /// The chain; without certificates when one of them was forgotten.
    fn identity(
        self,
        intermediates: &HashMap<Vec<u8>, Option<Vec<u8>>>,
    ) -> Result<ObservedIdentity, StoreError> {
        let certificates = match (self.leaf, self.presented) {
            (Some(leaf), _) => {
                let digests = self.intermediates.chunks(DIGEST_BYTES);
                let between = digests.map(|digest| intermediates.get(digest).cloned().flatten());
                std::iter::once(Some(leaf))
                    .chain(between)
                    .collect::<Option<_>>()
                    .unwrap_or_default()
            }
            (None, Some(presented)) => unpack(&presented)?,
            (None, None) => Vec::new(),
        };
        Ok(ObservedIdentity {
            certificates,
            leaf: self.summary,
        })
    }
}

async fn intermediate(
    connection: &mut Connection,
    organization: &OrganizationId,
    digest: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT der FROM observed_certificates WHERE organization_id = $1 AND sha256 = $2";
    connection.find(sql, params![organization, digest]).await
}

impl FromRow for ChainRow {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            digest: row.next()?,
            leaf: row.next()?,
            intermediates: row.next()?,
            presented: row.next()?,
            summary: LeafSummary {
                subject: row.next()?,
                names: read_names(row.next()?)?,
                issuer: row.next()?,
                authority_key: row.next()?,
                not_after: row.next()?,
            },
        })
    }
}
