//! The only way to change an organization: a transaction that ends in [`WriteTx::commit`].

use countersign_types::{
    UnixSeconds,
    audit::{Actor, AuditCommit, AuditEvent},
    digest::Sha256,
    history::{HistoryPoint, RevisionToken},
    id::{ApiKeyId, OrganizationId},
};

use super::{
    Kind, Store, StoreError, asserted::Asserted, audit_chain::Head, connection::Connection,
    history, kept_assertion::JudgedChange, key_rows::ChangedKeys, signal::announce,
    sources::Sources, value::params,
};

/// What a write did: its answer, and its events for the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the change happens only when its events are committed"]
pub struct Change<T> {
    /// What the API answers.
    pub answer: T,
    /// What to hand to [`WriteTx::commit`]; empty when nothing changed.
    pub events: Vec<AuditEvent>,
}

/// A write to one organization. Dropped without [`WriteTx::commit`], nothing happened.
pub struct WriteTx {
    pub(super) connection: Connection,
    pub(super) store: Store,
    pub(super) organization: OrganizationId,
    pub(super) actor: Actor,
    pub(super) now: UnixSeconds,
    /// The newest event of the organization's log, those of this write included.
    pub(super) head: Head,
    /// What its events say of this write.
    pub(super) commit: AuditCommit,
    /// How many webhooks the organization has.
    pub(super) webhooks: u64,
    /// The trust that the organization's assertions are about, where it has any.
    pub(super) asserted: Asserted,
    /// The keys that it adds and takes away.
    pub(super) keys: ChangedKeys,
}

impl<T> Change<T> {
    pub(super) const fn none(answer: T) -> Self {
        Self {
            answer,
            events: Vec::new(),
        }
    }
}

impl Store {
    /// Begins a write to an organization, and waits for others that write to it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such organization,
    /// [`StoreError::KeyRevoked`] when the actor is an admin key that is no longer valid.
    pub async fn write(
        &self,
        organization: &OrganizationId,
        actor: Actor,
    ) -> Result<WriteTx, StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        let now = self.inner.sources.now();
        let begun = advance_clock(&mut connection, organization, now).await?;
        let (now, head, ((after, webhooks, assertions), keys_sum)) = begun;
        check_actor(&mut connection, organization, &actor, now).await?;
        let asserted =
            Asserted::begin(&mut connection, &self.inner.sets, organization, assertions).await?;
        Ok(WriteTx {
            connection,
            store: self.clone(),
            organization: organization.clone(),
            actor,
            now,
            head,
            commit: AuditCommit {
                token: history::draw(&self.inner.sources)?,
                after,
            },
            webhooks,
            asserted,
            keys: ChangedKeys::none(keys_sum),
        })
    }
}

impl Store {
    /// The clock and the randomness.
    pub(crate) fn sources(&self) -> &Sources {
        &self.inner.sources
    }
}

impl WriteTx {
    /// The time of this write, in Unix seconds. It never goes backwards within an organization,
    /// whichever node writes.
    #[must_use]
    pub const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// Makes the change durable together with its audit events, and wakes everyone who waits for one.
    /// Returns the point of the history that the change made. Without events nothing changed: then
    /// nothing is written, and it returns the point of the organization's last change, which is what
    /// must be enforced for the state that was asked for to be in force; without its token if that is
    /// long ago.
    ///
    /// # Errors
    /// Any; then nothing changed. Only if the connection was lost while committing
    /// ([`StoreError::Unavailable`]), the change may have been made. [`StoreError::Unjudged`] if trust
    /// that assertions are about is another now, and [`Self::accept`] was not told of it.
    pub async fn commit(mut self, mut events: Vec<AuditEvent>) -> Result<HistoryPoint, StoreError> {
        if events.is_empty() {
            return self.last_point().await;
        }
        let (connection, organization) = (&mut self.connection, &self.organization);
        let known = &self.store.inner.sets;
        let checked = self.asserted.check(connection, known, organization);
        events.extend(checked.await?);
        let mut written = Vec::new();
        for event in events {
            let shown = self.record(&event).await?;
            written.push((event, shown));
        }
        self.enqueue_audit(&written).await?;
        // Last, since every write of the deployment locks one row for it: the lock is held only
        // while committing, so revisions become visible in their order.
        let point = history::advance(&mut self.connection, self.commit.token).await?;
        self.connection
            .execute(
                "UPDATE organizations SET revision = $2, audit_number = $3, audit_sha256 = $4, \
                 audit_at = $5, audit_token = $6 WHERE id = $1",
                params![
                    self.organization,
                    point.revision,
                    self.head.number,
                    self.head.sha256.to_string(),
                    self.now,
                    point.token.to_string(),
                ],
            )
            .await?;
        let (connection, organization) = (&mut self.connection, &self.organization);
        self.keys
            .write(connection, organization, point.revision)
            .await?;
        let inner = &self.store.inner;
        let sender = inner.announced.clone();
        self.connection
            .commit(inner.database.dialect().commit_and_notify(), move || {
                announce(&sender, point);
            })
            .await?;
        Ok(point)
    }

    /// Lets [`Self::commit`] make a change of trust that was judged, and no other.
    pub fn accept(&mut self, judged: JudgedChange) {
        self.asserted.accept(judged);
    }

    async fn last_point(&mut self) -> Result<HistoryPoint, StoreError> {
        let none = RevisionToken::NONE.to_string();
        let found: Option<HistoryPoint> = self
            .connection
            .find(
                "SELECT o.revision, coalesce(h.token, $2) FROM organizations o \
                 LEFT JOIN history h ON h.revision = o.revision WHERE o.id = $1",
                params![self.organization, none],
            )
            .await?;
        found.ok_or_else(|| StoreError::not_found(Kind::Organization, self.organization.as_str()))
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.store.inner.sources
    }
}

/// The clock, the head of the audit log, the revision, the numbers of webhooks and of assertions, and the sum of the
/// keys.
type Begun = (UnixSeconds, Head, ((u64, u64, u64), Option<Sha256>));

/// Locks the organization's row, so that other writers of it wait, and moves its clock to now, or
/// leaves it where a node with a faster clock has put it. Nobody else can move the head of the audit
/// log until the commit.
async fn advance_clock(
    connection: &mut Connection,
    organization: &OrganizationId,
    now: UnixSeconds,
) -> Result<Begun, StoreError> {
    connection
        .find(
            "UPDATE organizations SET clock = CASE WHEN clock < $2 THEN $2 ELSE clock END \
             WHERE id = $1 RETURNING clock, audit_number, audit_sha256, revision, webhooks, assertions, \
             keys_sum",
            params![organization, now],
        )
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Organization, organization.as_str()))
}

/// Checks the key again: it may have been deleted or expired while the request was being read.
async fn check_actor(
    connection: &mut Connection,
    organization: &OrganizationId,
    actor: &Actor,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    let (key, sql) = match actor {
        Actor::Operator => return Ok(()),
        Actor::ApiKey(key) => (
            key,
            "SELECT id FROM api_keys WHERE id = $1 AND organization_id = $2 AND kind = 'admin' \
             AND (expires_at IS NULL OR expires_at > $3)",
        ),
        Actor::Gateway(key) => (
            key,
            "SELECT id FROM api_keys WHERE id = $1 AND organization_id IS NULL \
             AND kind = 'gateway' AND (expires_at IS NULL OR expires_at > $3) \
             AND (limited = 0 OR EXISTS (SELECT 1 FROM gateway_key_organizations l \
             WHERE l.key_id = $1 AND l.organization_id = $2))",
        ),
    };
    let found: Option<ApiKeyId> = connection
        .find(sql, params![key, organization, now])
        .await?;
    found.map(|_| ()).ok_or(StoreError::KeyRevoked)
}
