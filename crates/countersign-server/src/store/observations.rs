//! What gateways observed, counted per UTC day. A batch is applied whole and once, in one
//! transaction. It changes no organization, so it takes no revision and writes no audit event.
//!
//! A row refers only to what belongs to its organization: an observation that names another's
//! project, key or anchor is refused. The digest of a chain is computed here from its certificates,
//! so no digest is stored without them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use countersign_types::{
    UnixSeconds,
    digest::ChainDigest,
    error::ErrorCode,
    id::{ApiKeyId, CertificateId, OrganizationId, ProjectId},
    observation::{AnchorScope, Observation, ObservationBatch},
    workload::ObservedWorkload,
};

use super::{
    Store, StoreError,
    belonging::{Belonging, Owner},
    connection::Connection,
    day::{DAY, first_day},
    observed_chains::{self, Presented, ReceivedChain, Stored},
    plausible::is_plausible,
    refusals::{self, Summed},
    refused_by,
    refused_scopes::{self, Refused},
    unverified_chains::ChainScope,
    value::params,
};

/// How a request that would have been permitted is stored.
const PERMIT: &str = "permit";

/// The result of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedBatch {
    /// How many observations were kept.
    pub accepted: u64,
    /// The requests of those.
    pub requests: u64,
    /// How many were not kept, by the reason.
    pub refused: BTreeMap<NotKept, u64>,
    /// Chains that the batch names and nobody sent: then nothing of the batch was applied.
    pub unknown_chains: Vec<ChainDigest>,
    /// How many summaries of refused requests were kept.
    pub refusals: u64,
}

/// Why an observation is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotKept {
    /// Its project, key or anchor is not its organization's; a deleted key is nobody's.
    Foreign,
    /// It is older than what is kept.
    TooOld,
    /// No gateway can have seen it.
    Implausible,
}

impl NotKept {
    /// The reason's name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::TooOld => "too_old",
            Self::Implausible => "implausible",
        }
    }
}

impl Store {
    /// Applies a batch, unless a batch of its gateway with its number or a later one was applied
    /// before.
    /// `keep_days` is how long observations are kept, today included.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. Then nothing was applied, unless the connection was lost while
    /// committing; sending the batch again under its number is safe either way.
    pub async fn record_observations(
        &self,
        batch: &ObservationBatch,
        chains: &[ReceivedChain],
        keep_days: u32,
    ) -> Result<RecordedBatch, StoreError> {
        let now = self.inner.sources.now();
        let mut connection = self.inner.database.transaction().await?;
        if !is_new(&mut connection, batch, now).await? {
            return Ok(RecordedBatch::default());
        }
        let mut checking = Checking {
            connection: &mut connection,
            now,
            first_day: first_day(now, keep_days),
            belonging: Belonging::default(),
        };
        let mut recorded = RecordedBatch::default();
        let counts = checking.counts(batch, &mut recorded).await?;
        let refusals = checking.refusals(batch).await?;
        let refused_by = checking.refused_by(batch).await?;
        let known = find_chains(&mut connection, &counts, chains).await?;
        recorded.unknown_chains.clone_from(&known.unknown);
        if !recorded.unknown_chains.is_empty() {
            return Ok(recorded);
        }
        for count in &counts {
            let stored = count.chain_of(&known.stored);
            add(&mut connection, count, stored).await?;
            recorded.accepted += 1;
            recorded.requests += count.observation.requests;
        }
        add_to_anchors(&mut connection, &counts).await?;
        let refused = refused_of(batch, &counts, &refusals);
        refused_scopes::note(&mut connection, &self.inner.sources, refused).await?;
        refused_by::add(&mut connection, &refused_by).await?;
        let crowded = refusals::add(&mut connection, &refusals).await?;
        recorded.refusals = u64::try_from(refusals.len()).unwrap_or(u64::MAX);
        connection.commit("COMMIT", || ()).await?;
        // The batch is kept. What this leaves too much is less than a batch, until the next one.
        if let Err(error) = self.trim_chains(known.places).await {
            tracing::warn!(%error, "cannot forget the oldest observed chains; will try again");
        }
        if let Err(error) = self.trim_refusals(crowded).await {
            tracing::warn!(%error, "cannot add up the oldest refusals; will try again");
        }
        Ok(recorded)
    }
}

/// What was refused at each scope. A gateway that sums refusals up has all of them in its summaries,
/// and some in its observations too.
fn refused_of<'a>(
    batch: &ObservationBatch,
    counts: &[Count<'a>],
    refusals: &[Summed<'a>],
) -> Vec<Refused<'a>> {
    if batch.refusals.is_some() {
        return refusals.iter().filter_map(Summed::refused).collect();
    }
    counts.iter().filter_map(Count::refused).collect()
}

/// Takes the batch's number. Another copy of the batch then waits for this one.
async fn is_new(
    connection: &mut Connection,
    batch: &ObservationBatch,
    now: UnixSeconds,
) -> Result<bool, StoreError> {
    let taken = connection
        .execute(
            "INSERT INTO observation_batches (gateway_id, number, seen_at) VALUES ($1, $2, $3) \
             ON CONFLICT (gateway_id) DO UPDATE SET number = excluded.number, \
             seen_at = excluded.seen_at WHERE observation_batches.number < excluded.number",
            params![batch.gateway, batch.number, now,],
        )
        .await?;
    Ok(taken > 0)
}

/// An observation as it is stored: what is missing is empty.
struct Count<'a> {
    observation: &'a Observation,
    project: &'a str,
    key: &'a str,
    code: &'static str,
    anchor: &'a str,
    anchor_project: &'a str,
    reported: &'static str,
    reported_anchor: &'a str,
    day: u64,
    first_seen: UnixSeconds,
    last_seen: UnixSeconds,
}

/// What an observation is counted under, which is also the order that rows are locked in.
type CountKey<'a> = (&'a str, [&'a str; 7], Option<ChainDigest>, u64);

impl<'a> Count<'a> {
    fn key(&self) -> CountKey<'_> {
        let words = [
            self.project,
            self.key,
            self.code,
            self.anchor,
            self.anchor_project,
            self.reported,
            self.reported_anchor,
        ];
        let organization = self.observation.organization.as_str();
        let chain = self.observation.identity.chain;
        (organization, words, chain, self.day)
    }

    fn chain_of(&self, stored: &HashMap<(&OrganizationId, ChainDigest), Stored>) -> Stored {
        let chain = self.observation.identity.chain;
        let found = chain.and_then(|chain| stored.get(&(&self.observation.organization, chain)));
        found.copied().unwrap_or_default()
    }

    fn presented(&self) -> Presented<'a> {
        Presented {
            project: self.observation.identity.project.as_ref(),
            day: self.day,
            verified: !self.anchor.is_empty() || !self.reported_anchor.is_empty(),
            can_pass: self.observation.code != Some(ErrorCode::InvalidCertificate),
        }
    }

    fn refused(&self) -> Option<Refused<'a>> {
        let times = [self.first_seen, self.last_seen];
        (!self.code.is_empty()).then(|| Refused::of(self.observation, self.code, times))
    }

    fn new(observation: &'a Observation, now: UnixSeconds) -> Self {
        let last_seen = observation.last_seen.min(now);
        let ObservedWorkload { project, key, .. } = &observation.identity;
        let project = project.as_ref().map_or("", ProjectId::as_str);
        let reported = observation.reported.as_ref();
        Self {
            observation,
            project,
            key: key.as_ref().map_or("", ApiKeyId::as_str),
            code: observation.code.map_or("", ErrorCode::as_str),
            anchor: id_or_empty(observation.anchor.as_ref()),
            anchor_project: match observation.anchor_scope {
                Some(AnchorScope::Project) => project,
                Some(AnchorScope::Organization) | None => "",
            },
            reported: reported.map_or("", |it| it.code.map_or(PERMIT, ErrorCode::as_str)),
            reported_anchor: id_or_empty(reported.and_then(|it| it.anchor.as_ref())),
            day: last_seen / DAY,
            first_seen: observation.first_seen.min(last_seen),
            last_seen,
        }
    }
}

fn id_or_empty(id: Option<&CertificateId>) -> &str {
    id.map_or("", CertificateId::as_str)
}

/// Checks observations against the organizations, their projects, keys and anchors.
struct Checking<'c, 'a> {
    connection: &'c mut Connection,
    now: UnixSeconds,
    first_day: u64,
    belonging: Belonging<'a>,
}

impl<'a> Checking<'_, 'a> {
    /// The observations that are kept. Every node locks their rows in the same order, so that no two
    /// nodes wait for each other.
    async fn counts(
        &mut self,
        batch: &'a ObservationBatch,
        recorded: &mut RecordedBatch,
    ) -> Result<Vec<Count<'a>>, StoreError> {
        let mut counts = Vec::new();
        for observation in &batch.observations {
            match self.count(observation).await? {
                Ok(count) => counts.push(count),
                Err(reason) => *recorded.refused.entry(reason).or_default() += 1,
            }
        }
        counts.sort_by(|a, b| a.key().cmp(&b.key()));
        Ok(counts)
    }

    async fn refusals(
        &mut self,
        batch: &'a ObservationBatch,
    ) -> Result<Vec<Summed<'a>>, StoreError> {
        let times = [self.now, self.first_day];
        refusals::check(self.connection, &mut self.belonging, batch, times).await
    }

    async fn refused_by(
        &mut self,
        batch: &'a ObservationBatch,
    ) -> Result<Vec<refused_by::Kept<'a>>, StoreError> {
        let times = [self.now, self.first_day];
        refused_by::check(self.connection, &mut self.belonging, batch, times).await
    }

    async fn count(
        &mut self,
        observation: &'a Observation,
    ) -> Result<Result<Count<'a>, NotKept>, StoreError> {
        if !is_plausible(observation) {
            return Ok(Err(NotKept::Implausible));
        }
        let mut count = Count::new(observation, self.now);
        if count.day < self.first_day {
            return Ok(Err(NotKept::TooOld));
        }
        let (organization, connection) = (&observation.organization, &mut *self.connection);
        let ObservedWorkload { project, key, .. } = &observation.identity;
        let caller = (organization, project.as_ref(), key.as_ref());
        let belonging = &mut self.belonging;
        if !belonging.is_caller(connection, caller).await? {
            return Ok(Err(NotKept::Foreign));
        }
        let anchor = observation.anchor.as_ref();
        let anchor = belonging.owner(connection, organization, anchor).await?;
        let reported = observation.reported.as_ref();
        let reported = reported.and_then(|it| it.anchor.as_ref());
        let reported = belonging.owner(connection, organization, reported).await?;
        if anchor == Owner::Another || reported == Owner::Another {
            return Ok(Err(NotKept::Foreign));
        }
        // The requests happened, whatever became of the anchor since: only its name is dropped.
        if anchor == Owner::Nobody {
            (count.anchor, count.anchor_project) = ("", "");
        }
        if reported == Owner::Nobody {
            count.reported_anchor = "";
        }
        Ok(Ok(count))
    }
}

/// The chains of a batch.
#[derive(Default)]
struct Chains<'a> {
    stored: HashMap<(&'a OrganizationId, ChainDigest), Stored>,
    unknown: Vec<ChainDigest>,
    /// Where there are new ones.
    places: BTreeSet<ChainScope<'a>>,
}

/// Finds the chains that the batch names, or stores them where it brings them.
async fn find_chains<'a>(
    connection: &mut Connection,
    counts: &[Count<'a>],
    received: &[ReceivedChain],
) -> Result<Chains<'a>, StoreError> {
    let mut presented: BTreeMap<(&OrganizationId, ChainDigest), Presented<'a>> = BTreeMap::new();
    for count in counts {
        let Some(chain) = count.observation.identity.chain else {
            continue;
        };
        let this = count.presented();
        presented
            .entry((&count.observation.organization, chain))
            .and_modify(|known| known.add(this))
            .or_insert(this);
    }
    let mut chains = Chains::default();
    for ((organization, digest), presented) in presented {
        let is_it = |each: &&ReceivedChain| each.is(organization, digest);
        let found = observed_chains::find(connection, organization, digest, presented).await?;
        let stored = match (found, received.iter().find(is_it)) {
            (Some(stored), _) => stored,
            (None, Some(received)) => {
                chains.places.insert((organization, presented.project));
                observed_chains::insert(connection, received, presented).await?
            }
            (None, None) => {
                chains.unknown.push(digest);
                continue;
            }
        };
        chains.stored.insert((organization, digest), stored);
    }
    Ok(chains)
}

const FIND_OUTCOME: &str = "SELECT seq, first_seen, last_day FROM observed_outcomes \
    WHERE organization_id = $1 AND project_id = $2 AND key_id = $3 AND chain = $4 AND code = $5 \
    AND anchor_id = $6 AND anchor_project = $7 AND reported = $8 AND reported_anchor_id = $9";

const UPDATE_OUTCOME: &str = "UPDATE observed_outcomes SET \
    first_seen = CASE WHEN first_seen > $2 THEN $2 ELSE first_seen END, \
    last_day = CASE WHEN last_day < $3 THEN $3 ELSE last_day END WHERE seq = $1";

/// Updates the row if another node has just inserted it.
const INSERT_OUTCOME: &str = "INSERT INTO observed_outcomes (organization_id, project_id, key_id, \
    chain, code, anchor_id, anchor_project, reported, reported_anchor_id, first_seen, last_day, \
    leaf) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
    ON CONFLICT (organization_id, project_id, key_id, chain, code, anchor_id, anchor_project, \
    reported, reported_anchor_id) DO UPDATE SET \
    first_seen = CASE WHEN excluded.first_seen < observed_outcomes.first_seen \
    THEN excluded.first_seen ELSE observed_outcomes.first_seen END, \
    last_day = CASE WHEN excluded.last_day > observed_outcomes.last_day \
    THEN excluded.last_day ELSE observed_outcomes.last_day END RETURNING seq";

/// Adds to the count of an outcome on a day.
async fn add(
    connection: &mut Connection,
    count: &Count<'_>,
    chain: Stored,
) -> Result<(), StoreError> {
    let outcome = outcome(connection, count, chain).await?;
    connection
        .execute(
            "INSERT INTO observations (outcome, day, requests, last_seen) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (outcome, day) DO UPDATE SET \
             requests = observations.requests + excluded.requests, \
             last_seen = CASE WHEN excluded.last_seen > observations.last_seen \
             THEN excluded.last_seen ELSE observations.last_seen END",
            params![
                outcome,
                count.day,
                count.observation.requests,
                count.last_seen,
            ],
        )
        .await?;
    Ok(())
}

/// The row of an outcome. Most exist already and change once a day at most, so it is read first and
/// written only where it changes.
async fn outcome(
    connection: &mut Connection,
    count: &Count<'_>,
    chain: Stored,
) -> Result<u64, StoreError> {
    let values = params![
        count.observation.organization,
        count.project,
        count.key,
        chain.seq,
        count.code,
        count.anchor,
        count.anchor_project,
        count.reported,
        count.reported_anchor,
        count.first_seen,
        count.day,
        chain.leaf,
    ];
    // All but the last three identify an outcome.
    let (key, _) = values.split_at(values.len() - 3);
    let found: Option<(u64, UnixSeconds, u64)> = connection.find(FIND_OUTCOME, key).await?;
    if let Some((seq, first_seen, last_day)) = found {
        if first_seen <= count.first_seen && last_day >= count.day {
            return Ok(seq);
        }
        let update = params![seq, count.first_seen, count.day];
        // Another node may have just deleted it.
        if connection.execute(UPDATE_OUTCOME, update).await? > 0 {
            return Ok(seq);
        }
    }
    connection.number(INSERT_OUTCOME, values).await
}

/// Adds to the counts of the anchors under which the requests passed.
async fn add_to_anchors(
    connection: &mut Connection,
    counts: &[Count<'_>],
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(&str, &str, &str, u64), (u64, UnixSeconds)> = BTreeMap::new();
    let permitted = |count: &&Count<'_>| count.code.is_empty() && !count.anchor.is_empty();
    for count in counts.iter().filter(permitted) {
        let organization = count.observation.organization.as_str();
        let key = (organization, count.anchor, count.anchor_project, count.day);
        let (requests, last_seen) = sums.entry(key).or_default();
        *requests += count.observation.requests;
        *last_seen = count.last_seen.max(*last_seen);
    }
    for ((organization, anchor, project, day), (requests, last_seen)) in sums {
        connection
            .execute(
                "INSERT INTO anchor_requests (organization_id, anchor_id, anchor_project, day, \
                 requests, last_seen) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (organization_id, anchor_id, anchor_project, day) DO UPDATE SET \
                 requests = anchor_requests.requests + excluded.requests, \
                 last_seen = CASE WHEN excluded.last_seen > anchor_requests.last_seen \
                 THEN excluded.last_seen ELSE anchor_requests.last_seen END",
                params![organization, anchor, project, day, requests, last_seen,],
            )
            .await?;
    }
    Ok(())
}
