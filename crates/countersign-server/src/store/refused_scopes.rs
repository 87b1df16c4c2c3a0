//! When requests at a scope begin to be refused: webhooks are notified once, and again only after an
//! hour without refusals.

use std::collections::{BTreeMap, btree_map::Entry};

use countersign_types::{
    UnixSeconds,
    id::{OrganizationId, ProjectId},
    observation::Observation,
    refusal::RefusalSummary,
};
use serde_json::json;

use super::{
    StoreError, connection::Connection, sources::Sources, value::params,
    webhook_deliveries::Outgoing,
};

/// How long nothing must have been refused before webhooks are notified again, in seconds.
const QUIET: UnixSeconds = 60 * 60;

/// Refusals of a scope in one batch.
pub(super) struct Refused<'a> {
    organization: &'a OrganizationId,
    /// `None` for a key without a project.
    project: Option<&'a ProjectId>,
    /// The code of the first of them.
    code: &'static str,
    requests: u64,
    first_seen: UnixSeconds,
    last_seen: UnixSeconds,
}

/// Records the refusals of a batch, each scope once and in the same order on every node, so that no
/// two nodes wait for each other.
pub(super) async fn note<'a>(
    connection: &mut Connection,
    sources: &Sources,
    refusals: impl IntoIterator<Item = Refused<'a>>,
) -> Result<(), StoreError> {
    let mut scopes: BTreeMap<_, Refused<'a>> = BTreeMap::new();
    for refused in refusals {
        match scopes.entry((refused.organization, refused.project)) {
            Entry::Occupied(mut known) => known.get_mut().add(&refused),
            Entry::Vacant(entry) => {
                entry.insert(refused);
            }
        }
    }
    for refused in scopes.values() {
        refused.note(connection, sources).await?;
    }
    Ok(())
}

impl<'a> Refused<'a> {
    /// The refusals of an observation, with the times of the first and the last.
    pub(super) fn of(
        observation: &'a Observation,
        code: &'static str,
        [first_seen, last_seen]: [UnixSeconds; 2],
    ) -> Self {
        Self {
            organization: &observation.organization,
            project: observation.identity.project.as_ref(),
            code,
            requests: observation.requests,
            first_seen,
            last_seen,
        }
    }

    /// The same of a summary.
    pub(super) fn of_summary(summary: &'a RefusalSummary, times: [UnixSeconds; 2]) -> Self {
        let [first_seen, last_seen] = times;
        Self {
            organization: &summary.organization,
            project: summary.project.as_ref(),
            code: summary.code.as_str(),
            requests: summary.requests,
            first_seen,
            last_seen,
        }
    }

    /// Adds others of the same scope.
    fn add(&mut self, other: &Self) {
        if other.first_seen < self.first_seen {
            (self.first_seen, self.code) = (other.first_seen, other.code);
        }
        self.last_seen = self.last_seen.max(other.last_seen);
        self.requests += other.requests;
    }

    /// Records the time, and notifies webhooks if refusals have just begun. The row decides which of
    /// two nodes notifies: the second waits for the first, and then finds that they had begun.
    async fn note(&self, connection: &mut Connection, sources: &Sources) -> Result<(), StoreError> {
        let project = self.project.map_or("", ProjectId::as_str);
        let (organization, project) = (self.organization, project);
        let last = self.last_seen;
        let inserted = connection
            .execute(
                "INSERT INTO refused_scopes (organization_id, project_id, last_refused_at) \
                 VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                params![organization, project, last],
            )
            .await?;
        let begun = if inserted > 0 {
            inserted
        } else {
            let quiet_since = self.first_seen.saturating_sub(QUIET);
            connection
                .execute(
                    "UPDATE refused_scopes SET last_refused_at = $3 WHERE organization_id = $1 \
                     AND project_id = $2 AND last_refused_at < $4",
                    params![organization, project, last, quiet_since],
                )
                .await?
        };
        if begun > 0 {
            return self.notify(connection, sources).await;
        }
        connection
            .execute(
                "UPDATE refused_scopes SET last_refused_at = $3 WHERE organization_id = $1 \
                 AND project_id = $2 AND last_refused_at < $3",
                params![organization, project, last],
            )
            .await?;
        Ok(())
    }

    async fn notify(
        &self,
        connection: &mut Connection,
        sources: &Sources,
    ) -> Result<(), StoreError> {
        let (organization, project) = (self.organization, self.project);
        tracing::warn!(%organization, project = project.map(ProjectId::as_str), code = self.code, "requests at a scope are being refused");
        let data = json!({
            "project": project,
            "code": self.code,
            "requests": self.requests,
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
        });
        let outgoing = Outgoing {
            event_type: "refusals.started",
            at: sources.now(),
            data: &data,
        };
        outgoing
            .enqueue_to_all(connection, sources, organization)
            .await
    }
}
