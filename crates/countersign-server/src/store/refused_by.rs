//! How many requests each denial, floor and revocation list refused, or would have refused, counted per UTC day.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    certificate::Enforcement,
    id::{CertificateId, CrlId, DenialId, OrganizationId},
    observation::ObservationBatch,
    refused_by::{CrlUsage, RefusalCounts, RefusedBy, RefusedByCount},
    usage::Windows,
};

use super::{
    Store, StoreError,
    belonging::{Belonging, Owner},
    connection::Connection,
    day::{DAY, first_days},
    plausible::is_plausible_number,
    value::{Value, params},
};

/// A count that is kept.
pub(super) struct Kept<'a> {
    count: &'a RefusedByCount,
    /// The id of the denial, the anchor or the list.
    by: String,
    last_seen: UnixSeconds,
}

impl Kept<'_> {
    /// What is added up, which is also the order that rows are locked in.
    fn key(&self) -> (&str, &str, &'static str, u64) {
        (
            self.count.organization.as_str(),
            &self.by,
            self.count.enforcement.as_str(),
            self.last_seen / DAY,
        )
    }
}

/// The counts of a batch that are kept, in the order in which every node locks their rows. Those of what another
/// organization has or was deleted meanwhile, and of what is older than observations are kept, are left out.
pub(super) async fn check<'a>(
    connection: &mut Connection,
    belonging: &mut Belonging<'a>,
    batch: &'a ObservationBatch,
    [now, first_day]: [u64; 2],
) -> Result<Vec<Kept<'a>>, StoreError> {
    let mut kept = Vec::new();
    for count in batch.refused_by.iter().flatten() {
        let last_seen = count.last_seen.min(now);
        if !is_plausible_number(count.requests) || last_seen / DAY < first_day {
            continue;
        }
        if let Some(by) = find(connection, belonging, count).await? {
            kept.push(Kept {
                count,
                by,
                last_seen,
            });
        }
    }
    kept.sort_by(|one, other| one.key().cmp(&other.key()));
    Ok(kept)
}

/// The id of what refused, if the organization has it.
async fn find<'a>(
    connection: &mut Connection,
    belonging: &mut Belonging<'a>,
    count: &'a RefusedByCount,
) -> Result<Option<String>, StoreError> {
    let organization = &count.organization;
    match &count.by {
        RefusedBy::Denial(denial) => {
            let sql = "SELECT id FROM denials WHERE organization_id = $1 AND id = $2";
            connection.find(sql, params![organization, denial]).await
        }
        RefusedBy::Floor(anchor) => {
            let owner = belonging.owner(connection, organization, Some(anchor));
            let is_own = owner.await? == Owner::This;
            Ok(is_own.then(|| anchor.to_string()))
        }
        RefusedBy::Crl(list) => {
            let sql = "SELECT id FROM crls WHERE organization_id = $1 AND certificate_id = $2 \
                AND issuer = $3";
            let values = params![organization, list.certificate, list.issuer_sha256];
            connection.find(sql, values).await
        }
    }
}

/// Adds them to what is kept.
pub(super) async fn add(
    connection: &mut Connection,
    counts: &[Kept<'_>],
) -> Result<(), StoreError> {
    for kept in counts {
        let (organization, by, enforcement, day) = kept.key();
        connection
            .execute(
                "INSERT INTO refused_by (organization_id, by_id, enforcement, day, requests, last_seen) \
                 VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (organization_id, by_id, enforcement, day) DO UPDATE SET \
                 requests = refused_by.requests + excluded.requests, \
                 last_seen = CASE WHEN excluded.last_seen > refused_by.last_seen \
                 THEN excluded.last_seen ELSE refused_by.last_seen END",
                params![
                    organization,
                    by,
                    enforcement,
                    day,
                    kept.count.requests,
                    kept.last_seen,
                ],
            )
            .await?;
    }
    Ok(())
}

impl Store {
    /// What denials of an organization refused.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn denial_usage(
        &self,
        organization: &OrganizationId,
        ids: &[DenialId],
    ) -> Result<HashMap<String, RefusalCounts>, StoreError> {
        let today = self.inner.sources.now() / DAY;
        let ids: Vec<&str> = ids.iter().map(DenialId::as_str).collect();
        counts(&mut self.reader().await?, organization, &ids, today).await
    }
}

/// What an anchor's floor and its revocation lists refused.
pub(super) async fn of_anchor(
    connection: &mut Connection,
    organization: &OrganizationId,
    anchor: &CertificateId,
    today: u64,
) -> Result<(Option<RefusalCounts>, Vec<CrlUsage>), StoreError> {
    let sql = "SELECT coalesce(floor, reported_floor) FROM certificates WHERE id = $1";
    let floor: Option<Option<UnixSeconds>> = connection.find(sql, params![anchor]).await?;
    let sql = "SELECT id, issuer_name FROM crls WHERE certificate_id = $1 ORDER BY seq";
    let lists: Vec<(CrlId, String)> = connection.query(sql, params![anchor]).await?;
    let mut ids = vec![anchor.as_str()];
    ids.extend(lists.iter().map(|(id, _)| id.as_str()));
    let mut counts = counts(connection, organization, &ids, today).await?;
    let refused = counts.remove(anchor.as_str());
    let has_floor = floor.flatten().is_some();
    let refused = refused.or_else(|| has_floor.then(RefusalCounts::default));
    let lists = lists.into_iter().map(|(id, issuer)| CrlUsage {
        counts: counts.remove(id.as_str()).unwrap_or_default(),
        id,
        issuer,
    });
    Ok((refused, lists.collect()))
}

/// What each of these refused; nothing of those that refused nothing.
async fn counts(
    connection: &mut Connection,
    organization: &OrganizationId,
    ids: &[&str],
    today: u64,
) -> Result<HashMap<String, RefusalCounts>, StoreError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let places: Vec<_> = (5..5 + ids.len())
        .map(|place| format!("${place}"))
        .collect();
    let sql = format!(
        "SELECT by_id, enforcement, max(last_seen), \
         CAST(sum(CASE WHEN day >= $2 THEN requests ELSE 0 END) AS BIGINT), \
         CAST(sum(CASE WHEN day >= $3 THEN requests ELSE 0 END) AS BIGINT), \
         CAST(sum(CASE WHEN day >= $4 THEN requests ELSE 0 END) AS BIGINT) FROM refused_by \
         WHERE organization_id = $1 AND by_id IN ({}) GROUP BY by_id, enforcement",
        places.join(", ")
    );
    let mut values = vec![Value::from(organization.as_str())];
    values.extend(first_days(today).map(Value::from));
    values.extend(ids.iter().map(|id| Value::from(*id)));
    let rows: Vec<((String, Enforcement, UnixSeconds), Windows)> =
        connection.query(&sql, &values).await?;
    let mut all: HashMap<String, RefusalCounts> = HashMap::new();
    for ((by, enforcement, last), requests) in rows {
        let counts = all.entry(by).or_default();
        match enforcement {
            Enforcement::Enforce => (counts.last_refused, counts.refused) = (Some(last), requests),
            Enforcement::Report => (counts.last_reported, counts.reported) = (Some(last), requests),
        }
    }
    Ok(all)
}
