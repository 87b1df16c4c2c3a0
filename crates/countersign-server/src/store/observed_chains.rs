//! The chains that were presented, each stored once in its organization: those that verified under
//! an anchor with their certificates each once, the others whole in their row.

use countersign_types::{
    digest::{ChainDigest, Sha256},
    id::{OrganizationId, ProjectId},
    observation::ObservedChain,
};
use countersign_verify::{certificate::LeafSummary, presented};
use rustls_pki_types::CertificateDer;

use super::{
    StoreError,
    connection::Connection,
    row::{FromRow, Row},
    value::params,
};

pub(super) const DIGEST_BYTES: usize = 32;

/// A chain as a gateway sent it, with its digest and its names as they are read here.
#[derive(Debug)]
pub struct ReceivedChain {
    organization: OrganizationId,
    presented: presented::Presented,
    digest: ChainDigest,
    summary: LeafSummary,
}

impl ReceivedChain {
    /// Reads a chain. One that cannot be read counts too: it was presented.
    #[must_use]
    pub fn new(chain: &ObservedChain) -> Self {
        let certificates = chain.certificates.iter();
        let certificates = certificates.map(|der| CertificateDer::from(der.0.clone()));
        let presented = presented::Presented::new(certificates.collect());
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

/// The row of a chain; 0 for requests without one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stored {
    pub(super) seq: u64,
    /// The row of its leaf.
    pub(super) leaf: u64,
}

impl FromRow for Known {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            stored: row.several()?,
            last_day: row.next()?,
            intermediates: row.next()?,
            unverified: row.next::<u64>()? != 0,
            presented_bytes: row.next()?,
        })
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

pub(super) fn read_names(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Corrupt("names that cannot be read".to_owned()))
}

/// What a batch says of a chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Presented<'a> {
    /// The project that was called as.
    pub(super) project: Option<&'a ProjectId>,
    /// The latest day.
    pub(super) day: u64,
    /// Whether it verified under an anchor, perhaps one that is only reported.
    pub(super) verified: bool,
    /// Whether some trust could let it pass, so that a preview needs its certificates.
    pub(super) can_pass: bool,
}

impl Presented<'_> {
    /// Adds what else the batch says of the chain.
    pub(super) fn add(&mut self, other: Self) {
        self.day = self.day.max(other.day);
        self.verified |= other.verified;
        self.can_pass |= other.can_pass;
    }
}

/// What decides whether a stored chain is known well enough.
struct Known {
    stored: Stored,
    last_day: u64,
    intermediates: Vec<u8>,
    unverified: bool,
    presented_bytes: u64,
}

/// Finds the chain with this digest, and keeps it as long as observations of that day are kept. One
/// whose certificates are needed and are not kept, or not where those of verified chains are, counts
/// as unknown; the former once a day, so that nobody makes it come again and again.
pub(super) async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    digest: ChainDigest,
    presented: Presented<'_>,
) -> Result<Option<Stored>, StoreError> {
    let day = presented.day;
    let found: Option<Known> = connection
        .find(
            "SELECT seq, leaf, last_day, intermediates, \
             CAST(CASE WHEN unverified_at IS NULL THEN 0 ELSE 1 END AS BIGINT), \
             presented_bytes FROM observed_chains WHERE organization_id = $1 AND sha256 = $2",
            params![organization, digest],
        )
        .await?;
    let Some(known) = found else {
        return Ok(None);
    };
    let bare = known.unverified && known.presented_bytes == 0;
    if known.unverified && presented.verified || bare && presented.can_pass && known.last_day < day
    {
        return Ok(None);
    }
    let stored = known.stored;
    if known.last_day >= day {
        return Ok(Some(stored));
    }
    // Another node may have just deleted it: then it counts as unknown.
    let kept = "UPDATE observed_chains \
         SET last_day = CASE WHEN last_day < $2 THEN $2 ELSE last_day END WHERE seq = $1";
    if connection.execute(kept, params![stored.seq, day]).await? == 0 {
        return Ok(None);
    }
    if !known.unverified {
        keep_certificates(connection, organization, stored, &known.intermediates, day).await?;
    }
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

/// Stores a chain that is not known, or no longer well enough.
pub(super) async fn insert(
    connection: &mut Connection,
    chain: &ReceivedChain,
    presented: Presented<'_>,
) -> Result<Stored, StoreError> {
    let replaced: Option<u64> = connection
        .find(
            "DELETE FROM observed_chains WHERE organization_id = $1 AND sha256 = $2 \
             RETURNING seq",
            params![chain.organization, chain.digest],
        )
        .await?;
    let row = if presented.verified {
        NewRow::verified(connection, chain, presented.day).await?
    } else {
        NewRow::unverified(chain, presented)
    };
    let stored = row.insert(connection, chain, presented.day).await?;
    if let Some(replaced) = replaced {
        let sql =
            "UPDATE observed_outcomes SET chain = $2 WHERE organization_id = $3 AND chain = $1";
        let moved = params![replaced, stored.seq, chain.organization];
        connection.execute(sql, moved).await?;
    }
    Ok(stored)
}

/// A chain's row, but for what all have.
struct NewRow<'a> {
    leaf: u64,
    intermediates: Vec<u8>,
    summary: LeafSummary,
    unverified_at: Option<&'a str>,
    presented: Option<Vec<u8>>,
}

impl<'a> NewRow<'a> {
    /// A chain whose certificates are stored each once in the organization.
    async fn verified(
        connection: &mut Connection,
        chain: &ReceivedChain,
        day: u64,
    ) -> Result<Self, StoreError> {
        let mut row = Self {
            leaf: 0,
            intermediates: Vec::new(),
            summary: chain.summary.clone(),
            unverified_at: None,
            presented: None,
        };
        for (place, der) in chain.presented.judged().iter().enumerate() {
            let sha256 = Sha256::of(der);
            let seq = insert_certificate(connection, chain, sha256.as_ref(), der, day).await?;
            if place == 0 {
                row.leaf = seq;
            } else {
                row.intermediates.extend_from_slice(sha256.as_ref());
            }
        }
        Ok(row)
    }

    /// A chain that anyone can have made.
    fn unverified(chain: &ReceivedChain, presented: Presented<'a>) -> Self {
        let certificates = chain.presented.judged();
        Self {
            leaf: 0,
            intermediates: Vec::new(),
            summary: shortened(&chain.summary),
            unverified_at: Some(presented.project.map_or("", ProjectId::as_str)),
            presented: presented.can_pass.then(|| pack(certificates)),
        }
    }

    async fn insert(
        &self,
        connection: &mut Connection,
        chain: &ReceivedChain,
        day: u64,
    ) -> Result<Stored, StoreError> {
        let summary = &self.summary;
        let names = serde_json::to_string(&summary.names)
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        let bytes = self.presented.as_ref().map_or(0, Vec::len);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let stored = connection
            .find(
                "INSERT INTO observed_chains (organization_id, sha256, leaf, intermediates, subject, \
                 names, issuer, authority_key, not_after, last_day, unverified_at, presented, \
                 presented_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                 ON CONFLICT (organization_id, sha256) DO UPDATE SET \
                 last_day = CASE WHEN excluded.last_day > observed_chains.last_day \
                 THEN excluded.last_day ELSE observed_chains.last_day END RETURNING seq, leaf",
                params![
                    chain.organization,
                    chain.digest,
                    self.leaf,
                    self.intermediates,
                    summary.subject,
                    names,
                    summary.issuer,
                    summary.authority_key.as_deref(),
                    summary.not_after,
                    day,
                    self.unverified_at,
                    self.presented.as_deref(),
                    bytes,
                ],
            )
            .await?;
        stored.ok_or_else(|| StoreError::Internal("an insert returned nothing".to_owned()))
    }
}

/// The most bytes of each text of a leaf that anyone can have made, and of its names together.
const SHORT: usize = 256;

/// What is kept of what such a leaf says.
fn shortened(summary: &LeafSummary) -> LeafSummary {
    let mut left = SHORT;
    let mut names = Vec::new();
    for name in &summary.names {
        let Some(rest) = left.checked_sub(name.len()) else {
            break;
        };
        left = rest;
        names.push(name.clone());
    }
    LeafSummary {
        subject: short(&summary.subject),
        names,
        issuer: short(&summary.issuer),
        authority_key: summary
            .authority_key
            .clone()
            .filter(|key| key.len() <= SHORT),
        not_after: summary.not_after,
    }
}

fn short(text: &str) -> String {
    text.get(..text.floor_char_boundary(SHORT))
        .unwrap_or_default()
        .to_owned()
}

/// Certificates as they stand in a chain's own row.
pub(super) fn pack(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut packed = Vec::new();
    for der in certificates {
        let length = u32::try_from(der.len()).unwrap_or(u32::MAX);
        packed.extend_from_slice(&length.to_be_bytes());
        packed.extend_from_slice(der);
    }
    packed
}

/// The certificates that stand in a chain's own row.
pub(super) fn unpack(mut packed: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
    let corrupt = || StoreError::Corrupt("certificates whose ends cannot be found".to_owned());
    let mut certificates = Vec::new();
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk().ok_or_else(corrupt)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| corrupt())?;
        let (der, rest) = rest.split_at_checked(length).ok_or_else(corrupt)?;
        certificates.push(der.to_vec());
        packed = rest;
    }
    Ok(certificates)
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
