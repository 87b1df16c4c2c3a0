//! How anchors are used: sums over what gateways observed. A window of some days begins with the UTC
//! day that many days ago.

use std::collections::{BTreeMap, HashMap};

use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    id::{CertificateId, ObservationId, OrganizationId},
    page::{Order, Page},
    usage::{
        CertificateUsage, CertificateUse, CertificateUseObject, ScopeUsage, UsedLeaf, Windows,
    },
};

use super::{
    PageRequest, Store, StoreError, certificates,
    connection::Connection,
    day::{DAY, first_days},
    listing::Start,
    observed_chains::read_names,
    refused_by,
    row::{FromRow, Row},
    value::params,
};

/// The leaves of an anchor, by where it was active. The caller has checked that the anchor is the
/// organization's, and no row refers to another organization's anchor.
const LEAVES: &str = "SELECT anchor_project, \
     count(DISTINCT CASE WHEN last_day >= $2 THEN leaf END), \
     count(DISTINCT CASE WHEN last_day >= $3 THEN leaf END), count(DISTINCT leaf) \
     FROM observed_outcomes WHERE anchor_id = $1 AND anchor_id <> '' AND code = '' \
     AND last_day >= $4 GROUP BY anchor_project";

const REQUESTS: &str = "SELECT anchor_project, max(last_seen), \
     CAST(sum(CASE WHEN day >= $3 THEN requests ELSE 0 END) AS BIGINT), \
     CAST(sum(CASE WHEN day >= $4 THEN requests ELSE 0 END) AS BIGINT), \
     CAST(sum(CASE WHEN day >= $5 THEN requests ELSE 0 END) AS BIGINT) FROM anchor_requests \
     WHERE organization_id = $1 AND anchor_id = $2 \
     GROUP BY anchor_project ORDER BY anchor_project";

/// Rows that differ only in what is reported are one use, and the first of them represents it. The
/// `+` keeps SQLite from searching by `seq` through all rows of the organization.
const USE: &str = "o.anchor_id = $1 AND o.anchor_id <> '' AND o.code = '' \
     AND NOT EXISTS (SELECT 1 FROM observed_outcomes e WHERE e.organization_id = o.organization_id \
     AND e.project_id = o.project_id AND e.key_id = o.key_id AND e.chain = o.chain \
     AND e.code = '' AND e.anchor_id = o.anchor_id AND e.anchor_project = o.anchor_project \
     AND +e.seq < o.seq)";

/// All rows of the same use as `o`.
const SAME: &str = "FROM observed_outcomes e WHERE e.organization_id = o.organization_id \
     AND e.project_id = o.project_id AND e.key_id = o.key_id AND e.chain = o.chain \
     AND e.code = '' AND e.anchor_id = o.anchor_id AND e.anchor_project = o.anchor_project";

impl Store {
    /// How certificates of an organization were used. Those of other organizations are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn certificate_usage(
        &self,
        organization: &OrganizationId,
        ids: &[CertificateId],
    ) -> Result<BTreeMap<CertificateId, CertificateUsage>, StoreError> {
        let mut connection = self.reader().await?;
        let today = self.inner.sources.now() / DAY;
        let mut all = BTreeMap::new();
        for id in ids {
            match certificates::find(&mut connection, organization, id, false).await {
                Ok(_) => {
                    let usage = usage(&mut connection, organization, id, today).await?;
                    all.insert(id.clone(), usage);
                }
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            // An anchor may have many leaves, and SQLite is read inline: let others run.
            tokio::task::yield_now().await;
        }
        Ok(all)
    }

    /// The client certificates that passed under a trust anchor, with who presented them, in the
    /// order in which they were first observed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::UnknownCursor`].
    pub async fn list_certificate_uses(
        &self,
        organization: &OrganizationId,
        id: &CertificateId,
        request: &PageRequest,
    ) -> Result<Page<CertificateUse>, StoreError> {
        let mut connection = self.list_reader().await?;
        certificates::find(&mut connection, organization, id, false).await?;
        let after = sort_key(&mut connection, id, request).await?;
        let (than, direction) = match request.order {
            Order::Asc => (">", "ASC"),
            Order::Desc => ("<", "DESC"),
        };
        let sums: Vec<String> = (5..=7)
            .map(|day| {
                format!(
                    "(SELECT CAST(coalesce(sum(d.requests), 0) AS BIGINT) FROM observations d \
                     WHERE d.outcome IN (SELECT e.seq {SAME}) AND d.day >= ${day})"
                )
            })
            .collect();
        let sql = format!(
            "SELECT o.seq, o.anchor_project, o.project_id, o.key_id, l.sha256, c.subject, \
             c.names, c.issuer, c.not_after, (SELECT min(e.first_seen) {SAME}), \
             (SELECT max(d.last_seen) FROM observations d WHERE d.outcome IN (SELECT e.seq {SAME})), \
             {} \
             FROM observed_outcomes o JOIN observed_chains c ON c.seq = o.chain \
             JOIN observed_certificates l ON l.seq = o.leaf \
             WHERE {USE} AND o.organization_id = $2 AND o.seq {than} $3 \
             ORDER BY o.seq {direction} LIMIT $4",
            sums.join(", ")
        );
        let [day_1, day_7, day_30] = first_days(self.inner.sources.now() / DAY);
        let one_more = i64::from(request.limit) + 1;
        let values = params![id, organization, after, one_more, day_1, day_7, day_30];
        let mut uses = connection.query(&sql, values).await?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = uses.len() > limit;
        uses.truncate(limit);
        Ok(Page::new(uses, has_more))
    }
}

async fn usage(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &CertificateId,
    today: u64,
) -> Result<CertificateUsage, StoreError> {
    let [day_1, day_7, day_30] = first_days(today);
    let leaves: Vec<(Scope, Windows)> = connection
        .query(LEAVES, params![id, day_1, day_7, day_30])
        .await?;
    let leaves: HashMap<Scope, Windows> = leaves.into_iter().collect();
    let requests: Vec<(Scope, UnixSeconds, Windows)> = connection
        .query(REQUESTS, params![organization, id, day_1, day_7, day_30])
        .await?;
    let scopes: Vec<ScopeUsage> = requests
        .into_iter()
        .map(|(scope, last_used, requests)| ScopeUsage {
            leaves: leaves.get(&scope).copied().unwrap_or_default(),
            project_id: scope.project().cloned(),
            last_used,
            requests,
        })
        .collect();
    let (floor, crls) = refused_by::of_anchor(connection, organization, id, today).await?;
    Ok(CertificateUsage {
        last_used: scopes.iter().map(|scope| scope.last_used).max(),
        scopes,
        floor,
        crls,
    })
}

/// The row that a page starts after: that of `after`, or before the first.
async fn sort_key(
    connection: &mut Connection,
    anchor: &CertificateId,
    request: &PageRequest,
) -> Result<i64, StoreError> {
    let seq = match request.start(ObservationId::PREFIX)? {
        Start::Beyond(seq) => return Ok(seq),
        Start::After(seq) => seq,
    };
    let sql = format!("SELECT o.seq FROM observed_outcomes o WHERE {USE} AND o.seq = $2");
    connection
        .find(&sql, params![anchor, seq])
        .await?
        .ok_or_else(|| request.unknown_cursor())
}

impl FromRow for Windows {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            days_1: row.next()?,
            days_7: row.next()?,
            days_30: row.next()?,
        })
    }
}

impl FromRow for CertificateUse {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let id = format!("{}{}", ObservationId::PREFIX, row.next::<u64>()?);
        Ok(Self {
            object: CertificateUseObject::Use.into(),
            id: id
                .parse()
                .map_err(|_| StoreError::Internal("an observation without an id".to_owned()))?,
            active_at_project_id: row.next_unless_empty()?,
            project_id: row.next_unless_empty()?,
            api_key_id: row.next_unless_empty()?,
            leaf: UsedLeaf {
                sha256: row.next()?,
                subject: row.next()?,
                subject_alt_names: read_names(row.next()?)?,
                issuer: row.next()?,
                expires_at: row.next()?,
            },
            first_seen: row.next()?,
            last_seen: row.next()?,
            requests: row.several()?,
        })
    }
}
