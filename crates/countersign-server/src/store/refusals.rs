//! Refused requests, summed up by caller, leaf and code. Anyone with a key can present as many
//! leaves as they like, so how many rows there are is bounded: the oldest of a caller are added up
//! to one row without a leaf, and the oldest of an organization to one without a caller. Nothing
//! that was counted is lost by that.

use std::collections::{BTreeMap, BTreeSet};

use countersign_types::{
    UnixSeconds,
    digest::Sha256,
    error::ErrorCode,
    id::{ApiKeyId, OrganizationId, ProjectId, RefusalId},
    observation::ObservationBatch,
    page::{Order, Page},
    refusal::{Refusal, RefusalObject, RefusalSummary, RefusedLeaf},
};

use super::{
    PageRequest, Store, StoreError,
    belonging::Belonging,
    connection::Connection,
    day::DAY,
    listing::Start,
    plausible::is_plausible_refusal,
    refused_scopes::Refused,
    row::{FromRow, Row},
    value::{ToValue as _, Value, params},
};

/// How many leaves of a caller are kept apart.
const LEAVES_OF_A_CALLER: u64 = 200;
/// How many rows of an organization have a caller: with those that have none, one for each code, an
/// organization has some 2,005 at most, which are about 3 MB.
const ROWS_OF_AN_ORGANIZATION: u64 = 2000;
/// How many rows are added up at a time; a batch brings fewer new ones.
const AT_A_TIME: u64 = 2000;

/// A summary that is kept.
pub(super) struct Summed<'a> {
    summary: &'a RefusalSummary,
    leaf: String,
    first_seen: UnixSeconds,
    last_seen: UnixSeconds,
}

/// What is summed up together, which is also the order that rows are locked in.
type Key<'a> = (&'a str, [&'a str; 4]);

impl<'a> Summed<'a> {
    fn new(summary: &'a RefusalSummary, now: UnixSeconds) -> Self {
        let last_seen = summary.last_seen.min(now);
        let leaf = summary.leaf.as_ref();
        Self {
            summary,
            leaf: leaf.map(|leaf| leaf.sha256.to_string()).unwrap_or_default(),
            first_seen: summary.first_seen.min(last_seen),
            last_seen,
        }
    }

    fn key(&self) -> Key<'_> {
        let RefusalSummary { project, key, .. } = self.summary;
        let words = [
            project.as_ref().map_or("", ProjectId::as_str),
            key.as_ref().map_or("", ApiKeyId::as_str),
            self.summary.code.as_str(),
            &self.leaf,
        ];
        (self.summary.organization.as_str(), words)
    }

    /// The same as the refusals of a scope; none where there are several callers.
    pub(super) fn refused(&self) -> Option<Refused<'a>> {
        let one_caller = self.summary.project.is_some() || self.summary.key.is_some();
        let times = [self.first_seen, self.last_seen];
        one_caller.then(|| Refused::of_summary(self.summary, times))
    }
}

/// The summaries of a batch that are kept, in the order in which every node locks their rows. Those
/// of others' callers, and of what is older than observations are kept, are left out.
pub(super) async fn check<'a>(
    connection: &mut Connection,
    belonging: &mut Belonging<'a>,
    batch: &'a ObservationBatch,
    [now, first_day]: [u64; 2],
) -> Result<Vec<Summed<'a>>, StoreError> {
    let mut kept = Vec::new();
    for summary in batch.refusals.iter().flatten() {
        let (project, key) = (summary.project.as_ref(), summary.key.as_ref());
        let organization = &summary.organization;
        let belongs = if project.is_none() && key.is_none() {
            exists(connection, organization).await?
        } else {
            let caller = (organization, project, key);
            belonging.is_caller(connection, caller).await?
        };
        let summed = Summed::new(summary, now);
        if belongs && is_plausible_refusal(summary) && summed.last_seen / DAY >= first_day {
            kept.push(summed);
        }
    }
    kept.sort_by(|one, other| one.key().cmp(&other.key()));
    Ok(kept)
}

async fn exists(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM organizations WHERE id = $1";
    let found: Option<OrganizationId> = connection.find(sql, params![organization]).await?;
    Ok(found.is_some())
}

const ADD: &str = "INSERT INTO refusals (organization_id, project_id, key_id, code, leaf, subject, \
    requests, first_seen, last_seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
    ON CONFLICT (organization_id, project_id, key_id, code, leaf) DO UPDATE SET \
    requests = refusals.requests + excluded.requests, \
    first_seen = CASE WHEN excluded.first_seen < refusals.first_seen \
    THEN excluded.first_seen ELSE refusals.first_seen END, \
    last_seen = CASE WHEN excluded.last_seen > refusals.last_seen \
    THEN excluded.last_seen ELSE refusals.last_seen END";

/// Adds them to what is kept, and tells whose they are.
pub(super) async fn add<'a>(
    connection: &mut Connection,
    refusals: &[Summed<'a>],
) -> Result<BTreeSet<&'a OrganizationId>, StoreError> {
    for refusal in refusals {
        let (organization, [project, key, code, leaf]) = refusal.key();
        let known = refusal.summary.leaf.as_ref();
        let subject = known.map_or("", |leaf| leaf.subject.as_str());
        let (requests, first) = (refusal.summary.requests, refusal.first_seen);
        let values = params![
            organization,
            project,
            key,
            code,
            leaf,
            subject,
            requests,
            first,
            refusal.last_seen,
        ];
        connection.execute(ADD, values).await?;
    }
    let organizations = refusals.iter().map(|each| &each.summary.organization);
    Ok(organizations.collect())
}

/// A row that is too much, and how it is found: the key in the order of locks, and its number.
type Excess = ((String, String, String), (String, u64));

/// What is added up to one row: a caller, or nobody, and a code.
type Total = (String, String, String);

impl Store {
    /// Adds up the oldest rows of organizations that just got some, as far as they have too many.
    /// Each row that others are added to is a transaction of its own, so that it takes rows in the
    /// order in which a batch does.
    pub(super) async fn trim_refusals(
        &self,
        organizations: BTreeSet<&OrganizationId>,
    ) -> Result<(), StoreError> {
        for organization in organizations {
            for (project, key) in self.crowded(organization).await? {
                let sql = "SELECT project_id, key_id, code, leaf, seq FROM refusals \
                    WHERE organization_id = $1 AND project_id = $2 AND key_id = $3 AND leaf <> '' \
                    ORDER BY last_seen DESC, seq DESC LIMIT $4 OFFSET $5";
                let at = [AT_A_TIME, LEAVES_OF_A_CALLER];
                let values = params![organization, project, key, at[0], at[1]];
                let excess = self.reader().await?.query(sql, values).await?;
                self.add_up(organization, excess, |caller| caller).await?;
            }
            let sql = "SELECT project_id, key_id, code, leaf, seq FROM refusals \
                WHERE organization_id = $1 AND (project_id <> '' OR key_id <> '') \
                ORDER BY last_seen DESC, seq DESC LIMIT $2 OFFSET $3";
            let values = params![organization, AT_A_TIME, ROWS_OF_AN_ORGANIZATION];
            let excess = self.reader().await?.query(sql, values).await?;
            let nobody = |(_, _, code)| (String::new(), String::new(), code);
            self.add_up(organization, excess, nobody).await?;
        }
        Ok(())
    }

    /// The callers with too many leaves.
    async fn crowded(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT project_id, key_id FROM refusals WHERE organization_id = $1 \
            AND leaf <> '' GROUP BY project_id, key_id HAVING count(*) > $2";
        let values = params![organization, LEAVES_OF_A_CALLER];
        self.reader().await?.query(sql, values).await
    }

    async fn add_up(
        &self,
        organization: &OrganizationId,
        excess: Vec<Excess>,
        total_of: impl Fn(Total) -> Total,
    ) -> Result<(), StoreError> {
        let mut totals: BTreeMap<Total, Vec<Excess>> = BTreeMap::new();
        for row in excess {
            totals.entry(total_of(row.0.clone())).or_default().push(row);
        }
        for (total, mut rows) in totals {
            rows.sort_unstable();
            self.add_up_to(organization, &total, &rows).await?;
        }
        Ok(())
    }

    async fn add_up_to(
        &self,
        organization: &OrganizationId,
        (project, key, code): &Total,
        rows: &[Excess],
    ) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        let mut sum = (0_u64, UnixSeconds::MAX, 0);
        let values = |(requests, first, last): (u64, UnixSeconds, UnixSeconds)| {
            let times = [first, last].map(Value::from);
            let words = [project, key, code].map(|word| word.to_value());
            let [project, key, code] = words;
            let [first, last] = times;
            let (none, requests) = (Value::from(""), Value::from(requests));
            let organization = organization.to_value();
            [
                organization,
                project,
                key,
                code,
                none,
                none,
                requests,
                first,
                last,
            ]
        };
        // Nothing is added yet: it is locked, before the others as everywhere.
        connection.execute(ADD, &values(sum)).await?;
        for (_, (_, seq)) in rows {
            let sql = "DELETE FROM refusals WHERE seq = $1 \
                RETURNING requests, first_seen, last_seen";
            let found: Option<(u64, u64, u64)> = connection.find(sql, params![seq]).await?;
            // Another node may have added it up already.
            if let Some((requests, first, last)) = found {
                sum = (sum.0 + requests, sum.1.min(first), sum.2.max(last));
            }
        }
        if sum.0 == 0 {
            return Ok(());
        }
        connection.execute(ADD, &values(sum)).await?;
        connection.commit("COMMIT", || ()).await
    }

    /// The refused requests of an organization by caller, leaf and code, in the order in which they
    /// were first seen.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_refusals(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<Refusal>, StoreError> {
        let mut connection = self.list_reader().await?;
        let after = sort_key(&mut connection, organization, request).await?;
        let (than, direction) = match request.order {
            Order::Asc => (">", "ASC"),
            Order::Desc => ("<", "DESC"),
        };
        let sql = format!(
            "SELECT seq, project_id, key_id, leaf, subject, code, requests, first_seen, last_seen \
             FROM refusals WHERE organization_id = $1 AND seq {than} $2 \
             ORDER BY seq {direction} LIMIT $3"
        );
        let one_more = i64::from(request.limit) + 1;
        let values = params![organization, after, one_more];
        let mut refusals = connection.query(&sql, values).await?;
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = refusals.len() > limit;
        refusals.truncate(limit);
        Ok(Page::new(refusals, has_more))
    }
}

/// The row that a page starts after: that of `after`, or before the first.
async fn sort_key(
    connection: &mut Connection,
    organization: &OrganizationId,
    request: &PageRequest,
) -> Result<i64, StoreError> {
    let seq = match request.start(RefusalId::PREFIX)? {
        Start::Beyond(seq) => return Ok(seq),
        Start::After(seq) => seq,
    };
    let sql = "SELECT seq FROM refusals WHERE organization_id = $1 AND seq = $2";
    let found = connection.find(sql, params![organization, seq]).await?;
    found.ok_or_else(|| request.unknown_cursor())
}

impl FromRow for Refusal {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let id = format!("{}{}", RefusalId::PREFIX, row.next::<u64>()?);
        let id = id
            .parse()
            .map_err(|_| StoreError::Internal("refusals without an id".to_owned()))?;
        let (project_id, api_key_id) = (row.next_unless_empty()?, row.next_unless_empty()?);
        let leaf: Option<Sha256> = row.next_unless_empty()?;
        let subject: String = row.next()?;
        let code: String = row.next()?;
        let code = ErrorCode::from_code(&code)
            .ok_or_else(|| StoreError::Corrupt("a code that does not exist".to_owned()))?;
        Ok(Self {
            object: RefusalObject::Refusal.into(),
            id,
            project_id,
            api_key_id,
            leaf: leaf.map(|sha256| RefusedLeaf { sha256, subject }),
            code: code.into(),
            requests: row.next()?,
            first_seen: row.next()?,
            last_seen: row.next()?,
        })
    }
}
