//! The audit log: newest first.

use std::fmt::Write as _;

use countersign_types::{
    UnixSeconds,
    audit::{AuditEvent, AuditHead, AuditHeadObject, AuditLog},
    id::{AuditLogId, OrganizationId},
    page::{DEFAULT_LIMIT, Page},
};
use serde_json::Map;

use super::{
    Kind, Store, StoreError, WriteTx,
    audit_chain::Head,
    connection::Connection,
    row::{FromRow, Row},
    value::{ToValue, Value, params},
};

/// Bounds on `effective_at`, in Unix seconds; all that are set apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditRange {
    /// Later than this.
    pub gt: Option<UnixSeconds>,
    /// At this or later.
    pub gte: Option<UnixSeconds>,
    /// Earlier than this.
    pub lt: Option<UnixSeconds>,
    /// At this or earlier.
    pub lte: Option<UnixSeconds>,
}

/// Which events are wanted: those that pass every filter. An empty list filters nothing. The HTTP
/// layer bounds how long the lists may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// When.
    pub effective_at: AuditRange,
    /// About one of these projects.
    pub project_ids: Vec<String>,
    /// Of one of these types.
    pub event_types: Vec<String>,
    /// By one of these actors.
    pub actor_ids: Vec<String>,
    /// About one of these things.
    pub resource_ids: Vec<String>,
}

/// Which page of the log is wanted. With both cursors, it starts after `after` and ends before
/// `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The most events that it may hold.
    pub limit: u32,
    /// The event that it follows: older ones.
    pub after: Option<String>,
    /// The event that it precedes: newer ones, those next to it.
    pub before: Option<String>,
}

impl Default for AuditPage {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            after: None,
            before: None,
        }
    }
}

impl Store {
    /// Events of an organization, newest first. `has_more` says whether there are more in the
    /// requested direction.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`] with the cursor's text.
    pub async fn list_audit_logs(
        &self,
        organization: &OrganizationId,
        filter: &AuditFilter,
        page: &AuditPage,
    ) -> Result<Page<AuditLog>, StoreError> {
        let mut connection = self.list_reader().await?;
        let mut query = AuditQuery::of(organization);
        query.filter(filter);
        let after = sort_key(&mut connection, organization, page.after.as_deref()).await?;
        let before = sort_key(&mut connection, organization, page.before.as_deref()).await?;
        if let Some(key) = after {
            query.beyond("<", key);
        }
        if let Some(key) = before {
            query.beyond(">", key);
        }
        // The events just newer than `before` are wanted: they are read oldest first, then reversed.
        let backwards = before.is_some() && after.is_none();
        let (sql, values) = query.finish(if backwards { "ASC" } else { "DESC" }, page.limit);
        let mut events: Vec<AuditLog> = connection.query_once(&sql, &values).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = events.len() > limit;
        events.truncate(limit);
        if backwards {
            events.reverse();
        }
        Ok(Page::new(events, has_more))
    }
}

impl Store {
    /// The head of an organization's log. It is stored apart from the events, so that removing the
    /// newest of them is noticed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_audit_head(
        &self,
        organization: &OrganizationId,
    ) -> Result<AuditHead, StoreError> {
        let sql = "SELECT audit_number, audit_sha256, audit_at FROM organizations WHERE id = $1";
        let mut connection = self.reader().await?;
        connection
            .find(sql, params![organization])
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::Organization, organization.as_str()))
    }
}

impl WriteTx {
    /// Appends an event to the log, and returns it as the API shows it.
    pub(super) async fn record(&mut self, event: &AuditEvent) -> Result<AuditLog, StoreError> {
        let id = AuditLogId::from_random(self.sources().id()?);
        let project = event.project();
        let about = event.details();
        let details = about.to_string();
        let mut shown = AuditLog {
            id,
            event_type: event.event_type().to_owned(),
            effective_at: self.now,
            project: project.cloned().map(Into::into),
            actor: Some(self.actor.to_audit()),
            chain: None,
            commit: Some(self.commit),
            details: Map::from_iter([(event.event_type().to_owned(), about)]),
        };
        let chain = self.head.append(&shown)?;
        let seq = self
            .connection
            .number(
                "INSERT INTO audit_logs (id, organization_id, effective_at, event_type, \
                 project_id, project_name, actor_id, details, chain_number, previous_sha256, \
                 sha256, commit_token, commit_after) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING seq",
                params![
                    shown.id,
                    self.organization,
                    self.now,
                    event.event_type(),
                    project.map(|project| project.id.as_str()),
                    project.and_then(|project| project.name.as_deref()),
                    self.actor.id(),
                    details,
                    chain.number,
                    chain.previous_sha256.to_string(),
                    chain.sha256.to_string(),
                    self.commit.token.to_string(),
                    self.commit.after,
                ],
            )
            .await?;
        for resource in event.resource_ids() {
            self.connection
                .execute(
                    "INSERT INTO audit_log_resources (organization_id, resource_id, audit_seq) \
                     VALUES ($1, $2, $3)",
                    params![self.organization, resource, seq,],
                )
                .await?;
        }
        shown.chain = Some(chain);
        Ok(shown)
    }
}

/// An event's time and number, which the log is ordered by.
type SortKey = (i64, i64);

async fn sort_key(
    connection: &mut Connection,
    organization: &OrganizationId,
    cursor: Option<&str>,
) -> Result<Option<SortKey>, StoreError> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let unknown = || StoreError::UnknownCursor(cursor.to_owned());
    let id: AuditLogId = cursor.parse().map_err(|_| unknown())?;
    connection
        .find(
            "SELECT effective_at, seq FROM audit_logs WHERE organization_id = $1 AND id = $2",
            params![organization, id],
        )
        .await?
        .map(Some)
        .ok_or_else(unknown)
}

/// The query of the log that its filters make.
struct AuditQuery<'a> {
    sql: String,
    values: Vec<Value<'a>>,
}

impl<'a> AuditQuery<'a> {
    fn of(organization: &'a OrganizationId) -> Self {
        Self {
            sql: "SELECT id, event_type, effective_at, project_id, project_name, actor_id, \
                  details, chain_number, previous_sha256, sha256, commit_token, commit_after \
                  FROM audit_logs WHERE organization_id = $1"
                .to_owned(),
            values: vec![organization.to_value()],
        }
    }

    fn bind(&mut self, value: impl Into<Value<'a>>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn filter(&mut self, filter: &'a AuditFilter) {
        let range = filter.effective_at;
        for (than, time) in [
            (">", range.gt),
            (">=", range.gte),
            ("<", range.lt),
            ("<=", range.lte),
        ] {
            if let Some(time) = time {
                let bound = self.bind(time);
                let _ = write!(self.sql, " AND effective_at {than} {bound}");
            }
        }
        for (column, wanted) in [
            ("project_id", &filter.project_ids),
            ("event_type", &filter.event_types),
            ("actor_id", &filter.actor_ids),
        ] {
            if !wanted.is_empty() {
                let list = self.list(wanted);
                let _ = write!(self.sql, " AND {column} IN ({list})");
            }
        }
        if !filter.resource_ids.is_empty() {
            let list = self.list(&filter.resource_ids);
            let _ = write!(
                self.sql,
                " AND seq IN (SELECT audit_seq FROM audit_log_resources \
                 WHERE organization_id = $1 AND resource_id IN ({list}))"
            );
        }
    }

    /// Binds each wanted text. PostgreSQL refuses text with a NUL, and no stored text has one: it is
    /// replaced by the empty text, which matches no row either.
    fn list(&mut self, wanted: &'a [String]) -> String {
        let bound: Vec<String> = wanted
            .iter()
            .map(|text| if text.contains('\0') { "" } else { text })
            .map(|text| self.bind(text))
            .collect();
        bound.join(", ")
    }

    fn beyond(&mut self, than: &str, (effective_at, seq): SortKey) {
        let effective_at = self.bind(effective_at);
        let seq = self.bind(seq);
        let _ = write!(
            self.sql,
            " AND (effective_at, seq) {than} ({effective_at}, {seq})"
        );
    }

    fn finish(mut self, direction: &str, limit: u32) -> (String, Vec<Value<'a>>) {
        let one_more = self.bind(i64::from(limit) + 1);
        let _ = write!(
            self.sql,
            " ORDER BY effective_at {direction}, seq {direction} LIMIT {one_more}"
        );
        (self.sql, self.values)
    }
}

impl FromRow for AuditHead {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        let Head { number, sha256 } = row.several()?;
        Ok(Self {
            object: AuditHeadObject::AuditLogHead.into(),
            number,
            sha256,
            effective_at: row.next()?,
        })
    }
}
