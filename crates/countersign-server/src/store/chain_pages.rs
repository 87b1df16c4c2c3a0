//! The chains that were presented, read a page at a time: an organization's may be many.

use std::collections::HashMap;

use countersign_types::{UnixSeconds, digest::ChainDigest, id::OrganizationId};
use countersign_verify::certificate::LeafSummary;

use super::{
    Store, StoreError,
    connection::Connection,
    day::DAY,
    observed_chains::{DIGEST_BYTES, read_names, unpack},
    row::{FromRow, Row},
    value::params,
};

/// The most chains of a page: some megabytes at the very most.
const CHAINS_OF_A_PAGE: i64 = 100;

/// A chain that was presented, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIdentity {
    /// The certificates in DER, leaf first; none when they are not kept.
    pub certificates: Vec<Vec<u8>>,
    /// What the leaf says; empty when it cannot be read.
    pub leaf: LeafSummary,
}

/// Some chains of an organization.
#[derive(Debug)]
pub struct ChainPage {
    /// The chains, by their digest.
    pub chains: HashMap<ChainDigest, ObservedIdentity>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

struct ChainRow {
    seq: u64,
    digest: ChainDigest,
    leaf: Option<Vec<u8>>,
    intermediates: Vec<u8>,
    presented: Option<Vec<u8>>,
    summary: LeafSummary,
}

impl Store {
    /// Some chains that were presented to an organization on the day of a time (Unix seconds) or
    /// later, those after a place; the first are after 0.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn observed_chains(
        &self,
        organization: &OrganizationId,
        since: UnixSeconds,
        after: u64,
    ) -> Result<ChainPage, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let rows: Vec<ChainRow> = connection
            .query(
                "SELECT c.seq, c.sha256, k.der, c.intermediates, c.presented, c.subject, c.names, \
                 c.issuer, c.authority_key, c.not_after FROM observed_chains c \
                 LEFT JOIN observed_certificates k ON k.seq = c.leaf \
                 WHERE c.organization_id = $1 AND c.last_day >= $2 AND c.seq > $3 \
                 ORDER BY c.seq LIMIT $4",
                params![organization, since / DAY, after, CHAINS_OF_A_PAGE],
            )
            .await?;
        let next = rows.last().map(|last| last.seq);
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
        Ok(ChainPage { chains, next })
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
            seq: row.next()?,
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
