//! What expires soon, and the notices about it. A primary key makes sure that each notice is given
//! once, whichever node gives it; the webhooks are enqueued in the same transaction.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    digest::ChainDigest,
    digest::Sha256,
    expiry::{Expiring, ExpiringKind, ExpiringList, MAX_EXPIRING, THRESHOLD_DAYS},
    id::{CertificateId, OrganizationId},
    page::ListObject,
};
use countersign_verify::certificate::leaf_validity;
use serde_json::json;

use super::{
    Store, StoreError,
    connection::Connection,
    day::DAY,
    row::{FromRow, Row},
    value::params,
    webhook_deliveries::Outgoing,
};

/// The most notices for a threshold at a time; the rest follow the next time.
const AT_A_TIME: i64 = 500;
/// A client certificate that was not seen for so many days is not in use.
const IN_USE_DAYS: u64 = 7;

/// A notice that something expires, just given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryNotice {
    /// Whose it is.
    pub organization: OrganizationId,
    /// What it is.
    pub expiring: Expiring,
    /// The threshold that it crossed, in days.
    pub within_days: u64,
}

/// How many things in use expire within a threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiringCount {
    /// What they are.
    pub kind: ExpiringKind,
    /// The threshold, in days.
    pub within_days: u64,
    /// How many.
    pub count: u64,
}

struct Candidate {
    organization: OrganizationId,
    thing: String,
    expiring: Expiring,
    /// How long it is valid in all, in seconds.
    lifetime: UnixSeconds,
}

const ANCHORS: &str = "SELECT c.organization_id, c.id, c.name, c.fingerprint, c.expires_at, \
    c.valid_at FROM certificates c WHERE c.expires_at > $1 AND c.expires_at <= $2 \
    AND EXISTS (SELECT 1 FROM activations a WHERE a.certificate_id = c.id) \
    AND NOT EXISTS (SELECT 1 FROM expiry_notices n WHERE n.organization_id = c.organization_id \
    AND n.thing = c.id AND n.days = $3) ORDER BY c.expires_at LIMIT $4";

/// A leaf that came with several chains has several rows; its notice is given once.
const LEAVES: &str = "SELECT c.organization_id, CAST(c.leaf AS TEXT), k.sha256, c.subject, \
    c.not_after, k.der FROM observed_chains c JOIN observed_certificates k ON k.seq = c.leaf \
    WHERE c.not_after > $1 AND c.not_after <= $2 AND c.last_day >= $5 \
    AND NOT EXISTS (SELECT 1 FROM expiry_notices n WHERE n.organization_id = c.organization_id \
    AND n.thing = CAST(c.leaf AS TEXT) AND n.days = $3) ORDER BY c.not_after LIMIT $4";

impl Store {
    /// Gives notice of what crossed a threshold (1, 7, 30, 60, 90 days): once for each thing and
    /// threshold, and only for the nearest when it crossed several. Webhooks get it as
    /// `certificate.expiring`. A threshold that is longer than a leaf's whole validity gives no
    /// notice of it, so that short-lived leaves raise no false alarms.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: then some is left for the next time.
    pub async fn send_expiry_notices(&self) -> Result<Vec<ExpiryNotice>, StoreError> {
        let now = self.inner.sources.now();
        let mut notices = Vec::new();
        let mut from = now;
        for days in THRESHOLD_DAYS {
            let to = now + days * DAY;
            for candidate in self.candidates(from, to, days).await? {
                notices.extend(self.give_notice(candidate, days, now).await?);
            }
            from = to;
        }
        Ok(notices)
    }

    async fn candidates(
        &self,
        from: UnixSeconds,
        to: UnixSeconds,
        days: u64,
    ) -> Result<Vec<Candidate>, StoreError> {
        let today = self.inner.sources.now() / DAY;
        let in_use_since = today.saturating_sub(IN_USE_DAYS);
        let mut connection = self.reader().await?;
        let anchors: Vec<Anchor> = connection
            .query(ANCHORS, params![from, to, days, AT_A_TIME])
            .await?;
        let leaves: Vec<Leaf> = connection
            .query(LEAVES, params![from, to, days, AT_A_TIME, in_use_since])
            .await?;
        let anchors = anchors.into_iter().map(|Anchor(candidate)| candidate);
        let leaves = leaves.into_iter().map(|Leaf(candidate)| candidate);
        Ok(anchors.chain(leaves).collect())
    }

    /// Takes the notice; `None` when another node has it, or there is nothing to say.
    async fn give_notice(
        &self,
        candidate: Candidate,
        within_days: u64,
        now: UnixSeconds,
    ) -> Result<Option<ExpiryNotice>, StoreError> {
        let Candidate {
            organization,
            thing,
            expiring,
            lifetime,
        } = candidate;
        let mut connection = self.inner.database.transaction().await?;
        let taken = connection
            .execute(
                "INSERT INTO expiry_notices (organization_id, thing, days, expires_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                params![organization, thing, within_days, expiring.expires_at,],
            )
            .await?;
        let is_leaf = expiring.kind == ExpiringKind::Leaf;
        let given = taken > 0 && !(is_leaf && lifetime <= within_days * DAY);
        if given {
            let data = json!({ "within_days": within_days, "expiring": expiring });
            let outgoing = Outgoing {
                event_type: "certificate.expiring",
                at: now,
                data: &data,
            };
            let sources = &self.inner.sources;
            outgoing
                .enqueue_to_all(&mut connection, sources, &organization)
                .await?;
        }
        connection.commit("COMMIT", || ()).await?;
        Ok(given.then_some(ExpiryNotice {
            organization,
            expiring,
            within_days,
        }))
    }

    /// Forgets the notices of what has expired.
    pub(crate) async fn forget_notices(&self) -> Result<(), StoreError> {
        let now = self.inner.sources.now();
        let mut connection = self.inner.database.transaction().await?;
        let sql = "DELETE FROM expiry_notices WHERE expires_at < $1";
        connection.execute(sql, params![now]).await?;
        connection.commit("COMMIT", || ()).await
    }

    /// How many active anchors, and leaves seen within 7 days, expire within each threshold.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn count_expiring(&self) -> Result<Vec<ExpiringCount>, StoreError> {
        let now = self.inner.sources.now();
        let since = (now / DAY).saturating_sub(IN_USE_DAYS);
        let mut connection = self.reader().await?;
        let mut counts = Vec::new();
        for within_days in THRESHOLD_DAYS {
            let to = now + within_days * DAY;
            let anchors = "SELECT count(*) FROM certificates c WHERE c.expires_at > $1 \
                AND c.expires_at <= $2 \
                AND EXISTS (SELECT 1 FROM activations a WHERE a.certificate_id = c.id)";
            let leaves = "SELECT count(DISTINCT leaf) FROM observed_chains \
                WHERE leaf > 0 AND not_after > $1 AND not_after <= $2 AND last_day >= $3";
            for (kind, count) in [
                (
                    ExpiringKind::Anchor,
                    connection.number(anchors, params![now, to]).await?,
                ),
                (
                    ExpiringKind::Leaf,
                    connection.number(leaves, params![now, to, since]).await?,
                ),
            ] {
                counts.push(ExpiringCount {
                    kind,
                    within_days,
                    count,
                });
            }
        }
        Ok(counts)
    }

    /// What of an organization expires within so many days, or has expired and is still active or
    /// still presented.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn list_expiring(
        &self,
        organization: &OrganizationId,
        within_days: u64,
    ) -> Result<ExpiringList, StoreError> {
        let horizon = self.inner.sources.now() + within_days * DAY;
        let mut data = self.expiring_leaves(organization, horizon).await?;
        let anchors = "SELECT c.organization_id, c.id, c.name, c.fingerprint, c.expires_at, \
            c.valid_at FROM certificates c WHERE c.organization_id = $1 AND c.expires_at <= $2 \
            AND EXISTS (SELECT 1 FROM activations a WHERE a.certificate_id = c.id)";
        let mut connection = self.reader().await?;
        let anchors: Vec<Anchor> = connection
            .query(anchors, params![organization, horizon])
            .await?;
        data.extend(anchors.into_iter().map(|Anchor(it)| it.expiring));
        data.sort_by(|a, b| {
            (a.expires_at, &a.kind, a.sha256).cmp(&(b.expires_at, &b.kind, b.sha256))
        });
        let has_more = data.len() > MAX_EXPIRING;
        data.truncate(MAX_EXPIRING);
        Ok(ExpiringList {
            object: ListObject::List.into(),
            data,
            has_more,
        })
    }

    async fn expiring_leaves(
        &self,
        organization: &OrganizationId,
        horizon: UnixSeconds,
    ) -> Result<Vec<Expiring>, StoreError> {
        let now = self.inner.sources.now();
        let mut connection = self.reader().await?;
        let chains = leaf_chains(&mut connection, organization, horizon).await?;
        drop(connection);
        if chains.is_empty() {
            return Ok(Vec::new());
        }
        let mut leaves: HashMap<Sha256, Expiring> = HashMap::new();
        let mut workloads = self.workloads(organization, 0);
        while let Some(page) = workloads.next().await? {
            for workload in page.workloads {
                let Some(leaf) = workload.identity.chain.and_then(|chain| chains.get(&chain))
                else {
                    continue;
                };
                let leaf = leaves.entry(leaf.sha256).or_insert_with(|| leaf.clone());
                leaf.last_seen = leaf.last_seen.max(Some(workload.last_seen));
                leaf.requests = Some(leaf.requests.unwrap_or(0) + workload.requests);
            }
            // SQLite is read inline: let others run.
            tokio::task::yield_now().await;
        }
        let matters = |leaf: &Expiring| {
            leaf.expires_at > now || leaf.last_seen.is_some_and(|seen| seen > leaf.expires_at)
        };
        Ok(leaves.into_values().filter(matters).collect())
    }
}

async fn leaf_chains(
    connection: &mut Connection,
    organization: &OrganizationId,
    horizon: UnixSeconds,
) -> Result<HashMap<ChainDigest, Expiring>, StoreError> {
    let sql = "SELECT c.sha256, k.sha256, c.subject, c.not_after FROM observed_chains c \
        JOIN observed_certificates k ON k.seq = c.leaf \
        WHERE c.organization_id = $1 AND c.not_after <= $2";
    let chains: Vec<(ChainDigest, (Sha256, String, UnixSeconds))> = connection
        .query(sql, params![organization, horizon])
        .await?;
    let chains = chains.into_iter();
    Ok(chains
        .map(|(chain, (sha256, subject, expires_at))| (chain, leaf(sha256, &subject, expires_at)))
        .collect())
}

fn leaf(sha256: Sha256, subject: &str, expires_at: UnixSeconds) -> Expiring {
    Expiring {
        kind: ExpiringKind::Leaf.into(),
        id: None,
        name: (!subject.is_empty()).then(|| subject.to_owned()),
        sha256,
        expires_at,
        last_seen: None,
        requests: None,
    }
}

/// A trust anchor that expires.
struct Anchor(Candidate);

impl FromRow for Anchor {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let organization = row.next()?;
        let id: CertificateId = row.next()?;
        let (name, sha256) = (row.next()?, row.next()?);
        let (expires_at, valid_at): (UnixSeconds, UnixSeconds) = (row.next()?, row.next()?);
        Ok(Self(Candidate {
            organization,
            thing: id.as_str().to_owned(),
            expiring: Expiring {
                kind: ExpiringKind::Anchor.into(),
                id: Some(id),
                name,
                sha256,
                expires_at,
                last_seen: None,
                requests: None,
            },
            lifetime: expires_at.saturating_sub(valid_at),
        }))
    }
}

/// A client certificate that expires.
struct Leaf(Candidate);

impl FromRow for Leaf {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let (organization, thing) = (row.next()?, row.next()?);
        let expiring = leaf(row.next()?, row.next()?, row.next()?);
        let (from, to) = leaf_validity(row.next()?).unwrap_or_default();
        Ok(Self(Candidate {
            organization,
            thing,
            expiring,
            lifetime: to.saturating_sub(from),
        }))
    }
}
