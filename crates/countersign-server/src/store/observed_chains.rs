//! The chains that were presented, each stored once in its organization: the leaf with its names,
//! the intermediates by digest.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    digest::{ChainDigest, Sha256},
    id::OrganizationId,
    observation::ObservedChain,
};
use countersign_verify::{certificate::LeafSummary, presented::Presented};
use rustls_pki_types::CertificateDer;

use super::{
    Store, StoreError,
    connection::Connection,
    day::DAY,
    row::{FromRow, Row},
    value::params,
};

const DIGEST_BYTES: usize = 32;

/// A chain as a gateway sent it, with its digest and its names as they are read here.
#[derive(Debug)]
pub struct ReceivedChain {
    organization: OrganizationId,
    presented: Presented,
    digest: ChainDigest,
    summary: LeafSummary,
}

impl ReceivedChain {
    /// Reads a chain. One that cannot be read counts too: it was presented.
    #[must_use]
    pub fn new(chain: &ObservedChain) -> Self {
        let certificates = chain.certificates.iter();
        let certificates = certificates.map(|der| CertificateDer::from(der.0.clone()));
        let presented = Presented::new(certificates.collect());
        Self {
            organization: chain.organization.clone(),
            digest: presented.sha256(),
            summary: presented
                .leaf()
                .map(|leaf| LeafSummary::of(leaf))
                .unwrap_or_default(),
            presented,
        }
    }

    pub(super) fn is(&self, organization: &OrganizationId, digest: ChainDigest) -> bool {
        self.digest == digest && self.organization == *organization
    }
}

/// A chain that was presented, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedIdentity {
    /// The certificates in DER, leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// What the leaf says; empty when it cannot be read.
    pub leaf: LeafSummary,
}

/// The row of a chain; 0 for requests without one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stored {
    pub(super) seq: u64,
    /// The row of its leaf.
    pub(super) leaf: u64,
}

impl Store {
    /// The chains that were presented to an organization on the day of a time (Unix seconds) or
    /// later.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn observed_chains(
        &self,
        organization: &OrganizationId,
        since: UnixSeconds,
    ) -> Result<HashMap<ChainDigest, ObservedIdentity>, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let reading = Reading {
            organization,
            first_day: since / DAY,
        };
        let certificates = reading.certificates(&mut connection).await?;
        let chains = reading.chains(&mut connection).await?;
        let by_digest: HashMap<&[u8], &[u8]> = certificates
            .values()
            .map(|(digest, der)| (digest.as_slice(), der.as_slice()))
            .collect();
        let missing = || StoreError::Corrupt("a chain's certificate is missing".to_owned());
        let mut identities = HashMap::with_capacity(chains.len());
        for chain in chains {
            let (_, leaf) = certificates.get(&chain.leaf).ok_or_else(missing)?;
            let mut whole = vec![leaf.clone()];
            for digest in chain.intermediates.chunks(DIGEST_BYTES) {
                let der = by_digest.get(digest).ok_or_else(missing)?;
                whole.push((*der).to_vec());
            }
            let identity = ObservedIdentity {
                certificates: whole,
                leaf: chain.summary,
            };
            identities.insert(chain.digest, identity);
        }
        Ok(identities)
    }
}

/// How many rows are read at a time: SQLite is read inline, so others get their turn in between.
pub(super) const AT_A_TIME: i64 = 1000;

struct Reading<'a> {
    organization: &'a OrganizationId,
    first_day: u64,
}

struct ChainRow {
    seq: u64,
    digest: ChainDigest,
    leaf: u64,
    intermediates: Vec<u8>,
    summary: LeafSummary,
}

impl Reading<'_> {
    /// The certificates by `seq`, each with its digest.
    async fn certificates(
        &self,
        connection: &mut Connection,
    ) -> Result<HashMap<u64, (Vec<u8>, Vec<u8>)>, StoreError> {
        let mut all = HashMap::new();
        let mut after = 0;
        loop {
            let some = connection
                .query(
                    "SELECT seq, sha256, der FROM observed_certificates \
                     WHERE organization_id = $1 AND last_day >= $2 AND seq > $3 \
                     ORDER BY seq LIMIT $4",
                    params![self.organization, self.first_day, after, AT_A_TIME],
                )
                .await?;
            let Some((last, _)) = some.last() else { break };
            after = *last;
            all.extend(some);
            tokio::task::yield_now().await;
        }
        Ok(all)
    }

    async fn chains(&self, connection: &mut Connection) -> Result<Vec<ChainRow>, StoreError> {
        let mut all: Vec<ChainRow> = Vec::new();
        loop {
            let after = all.last().map_or(0, |last| last.seq);
            let some = connection
                .query(
                    "SELECT seq, sha256, leaf, intermediates, subject, names, issuer, \
                     authority_key, not_after FROM observed_chains \
                     WHERE organization_id = $1 AND last_day >= $2 AND seq > $3 \
                     ORDER BY seq LIMIT $4",
                    params![self.organization, self.first_day, after, AT_A_TIME],
                )
                .await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
            tokio::task::yield_now().await;
        }
    }
}

impl FromRow for Stored {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.next()?,
            leaf: row.next()?,
        })
    }
}

impl FromRow for ChainRow {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.next()?,
            digest: row.next()?,
            leaf: row.next()?,
            intermediates: row.next()?,
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

pub(super) fn read_names(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Corrupt("names that cannot be read".to_owned()))
}

/// Finds the chain with this digest, and keeps it as long as observations of that day are kept.
pub(super) async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    digest: ChainDigest,
    day: u64,
) -> Result<Option<Stored>, StoreError> {
    let found: Option<(Stored, (u64, Vec<u8>))> = connection
        .find(
            "SELECT seq, leaf, last_day, intermediates FROM observed_chains \
             WHERE organization_id = $1 AND sha256 = $2",
            params![organization, digest],
        )
        .await?;
    let Some((stored, (last_day, intermediates))) = found else {
        return Ok(None);
    };
    if last_day >= day {
        return Ok(Some(stored));
    }
    // Another node may have just deleted it: then it counts as unknown.
    let kept = "UPDATE observed_chains \
         SET last_day = CASE WHEN last_day < $2 THEN $2 ELSE last_day END WHERE seq = $1";
    if connection.execute(kept, params![stored.seq, day]).await? == 0 {
        return Ok(None);
    }
    keep_certificates(connection, organization, stored, &intermediates, day).await?;
    Ok(Some(stored))
}

async fn keep_certificates(
    connection: &mut Connection,
    organization: &OrganizationId,
    stored: Stored,
    intermediates: &[u8],
    day: u64,
) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE observed_certificates SET last_day = $2 WHERE seq = $1 AND last_day < $2",
            params![stored.leaf, day],
        )
        .await?;
    for digest in intermediates.chunks(DIGEST_BYTES) {
        connection
            .execute(
                "UPDATE observed_certificates SET last_day = $3 \
                 WHERE organization_id = $1 AND sha256 = $2 AND last_day < $3",
                params![organization, digest, day,],
            )
            .await?;
    }
    Ok(())
}

/// Stores a chain that is not stored yet.
pub(super) async fn insert(
    connection: &mut Connection,
    chain: &ReceivedChain,
    day: u64,
) -> Result<Stored, StoreError> {
    let mut leaf = 0;
    let mut intermediates = Vec::new();
    for (place, der) in chain.presented.judged().iter().enumerate() {
        let sha256 = Sha256::of(der);
        let seq = insert_certificate(connection, chain, sha256.as_ref(), der, day).await?;
        if place == 0 {
            leaf = seq;
        } else {
            intermediates.extend_from_slice(sha256.as_ref());
        }
    }
    let summary = &chain.summary;
    let names = serde_json::to_string(&summary.names)
        .map_err(|error| StoreError::Internal(error.to_string()))?;
    let seq = connection
        .number(
            "INSERT INTO observed_chains (organization_id, sha256, leaf, intermediates, subject, \
             names, issuer, authority_key, not_after, last_day) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (organization_id, sha256) DO UPDATE SET \
             last_day = CASE WHEN excluded.last_day > observed_chains.last_day \
             THEN excluded.last_day ELSE observed_chains.last_day END RETURNING seq",
            params![
                chain.organization,
                chain.digest,
                leaf,
                intermediates,
                summary.subject,
                names,
                summary.issuer,
                summary.authority_key.as_deref(),
                summary.not_after,
                day,
            ],
        )
        .await?;
    Ok(Stored { seq, leaf })
}

async fn insert_certificate(
    connection: &mut Connection,
    chain: &ReceivedChain,
    sha256: &[u8],
    der: &[u8],
    day: u64,
) -> Result<u64, StoreError> {
    connection
        .number(
            "INSERT INTO observed_certificates (organization_id, sha256, der, last_day) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, sha256) DO UPDATE SET \
             last_day = CASE WHEN excluded.last_day > observed_certificates.last_day \
             THEN excluded.last_day ELSE observed_certificates.last_day END RETURNING seq",
            params![chain.organization, sha256, der, day,],
        )
        .await
}
