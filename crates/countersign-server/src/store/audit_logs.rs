//! The audit log: newest first.

use std::fmt::Write as _;

use countersign_types::{
    UnixSeconds,
    audit::{Actor, AuditChain, AuditEvent, AuditHead, AuditHeadObject, AuditLog, AuditProject},
    digest::Sha256,
    id::{AuditLogId, OrganizationId},
    page::{DEFAULT_LIMIT, Page},
};
use countersign_verify::audit_chain::event_sha256;
use serde_json::{Map, Value as Json};

use super::{
    Kind, Store, StoreError, WriteTx,
    connection::Connection,
    value::{Row, Value},
};

/// Bounds on `effective_at`, each in Unix seconds; all that are there hold.
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

/// Which events are wanted: those that pass every filter; an empty list filters nothing. The edge
/// bounds how long the lists may be.
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
    /// Events of an organization, newest first. `has_more` tells whether there are more in the
    /// direction that was asked for.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`] with the cursor's text.
    pub async fn list_audit_logs(
        &self,
        organization: &OrganizationId,
        filter: &AuditFilter,
        page: &AuditPage,
    ) -> Result<Page<AuditLog>, StoreError> {
        let mut connection = self.reader().await?;
        let mut query = AuditQuery::of(organization);
        query.filter(filter);
        let after = place(&mut connection, organization, page.after.as_deref()).await?;
        let before = place(&mut connection, organization, page.before.as_deref()).await?;
        if let Some(place) = after {
            query.beyond("<", place);
        }
        if let Some(place) = before {
            query.beyond(">", place);
        }
        // Only what is next to `before` is wanted, so those are read first and turned round.
        let backwards = before.is_some() && after.is_none();
        let (sql, values) = query.finish(if backwards { "ASC" } else { "DESC" }, page.limit);
        let mut events = connection.query_once(&sql, &values, read).await?;
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let has_more = events.len() > limit;
        events.truncate(limit);
        if backwards {
            events.reverse();
        }
        Ok(Page::new(events, has_more))
    }
}

/// The newest event of an organization's log: its number and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) number: u64,
    pub(super) sha256: Sha256,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            number: 0,
            sha256: Sha256::ZERO,
        }
    }
}

impl Head {
    /// From two columns, the first of which is given.
    pub(super) fn read(row: &Row<'_>, column: usize) -> Result<Self, StoreError> {
        Ok(Self {
            number: row.moment(column)?,
            sha256: row.parse(column + 1)?,
        })
    }

    /// Puts an event after the head, which it then is.
    pub(super) fn chain(&mut self, event: &AuditLog) -> Result<AuditChain, StoreError> {
        let mut chain = AuditChain {
            number: self.number + 1,
            previous_sha256: self.sha256,
            sha256: Sha256::ZERO,
        };
        let event = AuditLog {
            chain: Some(chain.clone()),
            ..event.clone()
        };
        let event = serde_json::to_value(event).map_err(internal)?;
        let event = event.as_object().ok_or_else(|| internal("no object"))?;
        chain.sha256 = event_sha256(event);
        *self = Self {
            number: chain.number,
            sha256: chain.sha256,
        };
        Ok(chain)
    }
}

fn internal(error: impl ToString) -> StoreError {
    StoreError::Internal(format!("an audit event as JSON: {}", error.to_string()))
}

impl Store {
    /// The head of an organization's log. It is kept apart from the events, so that the newest of
    /// them cannot vanish unseen.
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
            .find(sql, &[Value::text(organization)], |row| {
                let Head { number, sha256 } = Head::read(row, 0)?;
                Ok(AuditHead {
                    object: AuditHeadObject::AuditLogHead,
                    number,
                    sha256,
                    effective_at: row.moment(2)?,
                })
            })
            .await?
            .ok_or_else(|| StoreError::not_found(Kind::Organization, organization.as_str()))
    }
}

impl WriteTx {
    /// Writes an event into the transaction, after the newest that there is. Answers the event as
    /// the API shows it.
    pub(super) async fn record(&mut self, event: &AuditEvent) -> Result<AuditLog, StoreError> {
        let id = AuditLogId::from_random(self.sources().id()?);
        let project = event.project();
        let about = event.details();
        let details = about.to_string();
        let mut shown = AuditLog {
            id,
            event_type: event.event_type().to_owned(),
            effective_at: self.now,
            project: project.cloned(),
            actor: Some(self.actor.to_audit()),
            chain: None,
            details: Map::from_iter([(event.event_type().to_owned(), about)]),
        };
        let chain = self.head.chain(&shown)?;
        let seq = self
            .connection
            .number(
                "INSERT INTO audit_logs (id, organization_id, effective_at, event_type, \
                 project_id, project_name, actor_id, details, chain_number, previous_sha256, \
                 sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING seq",
                &[
                    Value::text(&shown.id),
                    Value::text(&self.organization),
                    Value::moment(self.now),
                    Value::Text(event.event_type()),
                    Value::optional_text(project.map(|project| project.id.as_str())),
                    Value::optional_text(project.and_then(|project| project.name.as_deref())),
                    Value::Text(self.actor.id()),
                    Value::Text(&details),
                    Value::moment(chain.number),
                    Value::Text(&chain.previous_sha256.to_string()),
                    Value::Text(&chain.sha256.to_string()),
                ],
            )
            .await?;
        for resource in event.resource_ids() {
            self.connection
                .execute(
                    "INSERT INTO audit_log_resources (organization_id, resource_id, audit_seq) \
                     VALUES ($1, $2, $3)",
                    &[
                        Value::text(&self.organization),
                        Value::Text(resource),
                        Value::moment(seq),
                    ],
                )
                .await?;
        }
        shown.chain = Some(chain);
        Ok(shown)
    }
}

type Place = (i64, i64);

/// Where an event stands in the log.
async fn place(
    connection: &mut Connection,
    organization: &OrganizationId,
    cursor: Option<&str>,
) -> Result<Option<Place>, StoreError> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let unknown = || StoreError::UnknownCursor(cursor.to_owned());
    let id: AuditLogId = cursor.parse().map_err(|_| unknown())?;
    connection
        .find(
            "SELECT effective_at, seq FROM audit_logs WHERE organization_id = $1 AND id = $2",
            &[Value::text(organization), Value::text(&id)],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )
        .await?
        .map(Some)
        .ok_or_else(unknown)
}

/// A query of the log as its filters make it.
struct AuditQuery<'a> {
    sql: String,
    values: Vec<Value<'a>>,
}

impl<'a> AuditQuery<'a> {
    fn of(organization: &'a OrganizationId) -> Self {
        Self {
            sql: "SELECT id, event_type, effective_at, project_id, project_name, actor_id, \
                  details, chain_number, previous_sha256, sha256 \
                  FROM audit_logs WHERE organization_id = $1"
                .to_owned(),
            values: vec![Value::text(organization)],
        }
    }

    fn bind(&mut self, value: Value<'a>) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn filter(&mut self, filter: &'a AuditFilter) {
        let range = filter.effective_at;
        for (than, moment) in [
            (">", range.gt),
            (">=", range.gte),
            ("<", range.lt),
            ("<=", range.lte),
        ] {
            if let Some(moment) = moment {
                let bound = self.bind(Value::moment(moment));
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

    /// Binds each wanted text. Nothing that is kept holds a NUL, and PostgreSQL takes none: such a
    /// text becomes the empty one, which is kept nowhere either.
    fn list(&mut self, wanted: &'a [String]) -> String {
        let bound: Vec<String> = wanted
            .iter()
            .map(|text| if text.contains('\0') { "" } else { text })
            .map(|text| self.bind(Value::Text(text)))
            .collect();
        bound.join(", ")
    }

    fn beyond(&mut self, than: &str, (effective_at, seq): Place) {
        let effective_at = self.bind(Value::Int(effective_at));
        let seq = self.bind(Value::Int(seq));
        let _ = write!(
            self.sql,
            " AND (effective_at, seq) {than} ({effective_at}, {seq})"
        );
    }

    fn finish(mut self, direction: &str, limit: u32) -> (String, Vec<Value<'a>>) {
        let one_more = self.bind(Value::Int(i64::from(limit) + 1));
        let _ = write!(
            self.sql,
            " ORDER BY effective_at {direction}, seq {direction} LIMIT {one_more}"
        );
        (self.sql, self.values)
    }
}

fn read(row: &Row<'_>) -> Result<AuditLog, StoreError> {
    let chain = AuditChain {
        number: row.moment(7)?,
        previous_sha256: row.parse(8)?,
        sha256: row.parse(9)?,
    };
    Ok(AuditLog {
        chain: Some(chain),
        ..read_unchained(row)?
    })
}

/// From the seven columns that the table had before there was a chain.
pub(super) fn read_unchained(row: &Row<'_>) -> Result<AuditLog, StoreError> {
    let event_type = row.text(1)?.to_owned();
    let project = row
        .optional_parse(3)?
        .map(|id| {
            let name = row.optional_text(4)?.map(str::to_owned);
            Ok::<_, StoreError>(AuditProject { id, name })
        })
        .transpose()?;
    let details: Json = serde_json::from_str(row.text(6)?)
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(AuditLog {
        id: row.parse(0)?,
        effective_at: row.moment(2)?,
        project,
        actor: Some(actor(row)?.to_audit()),
        chain: None,
        details: Map::from_iter([(event_type.clone(), details)]),
        event_type,
    })
}

fn actor(row: &Row<'_>) -> Result<Actor, StoreError> {
    if row.text(5)? == Actor::Operator.id() {
        return Ok(Actor::Operator);
    }
    row.parse(5).map(Actor::ApiKey)
}
