//! Denials of an organization: certificates that are refused although they verify.

use countersign_types::{
    UnixSeconds,
    audit::{AccessTaken, Actor, AuditEvent, DenialChange},
    certificate::{Enforcement, Scope},
    denial::{DeletedDenial, DeletedDenialObject, Denial, DenialMatch, DenialObject},
    id::{ApiKeyId, DenialId, OrganizationId},
    page::Page,
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    connection::Connection,
    json_column,
    listing::Listing,
    projects::Archived,
    row::{FromRow, Row},
    value::{Value, params},
};

const COLUMNS: &str = "t.id, t.name, t.reason, t.matches, t.project_id, t.enforcement, t.created_at, \
     t.expires_at, t.created_by";

/// A denial that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDenial {
    /// Its name.
    pub name: String,
    /// Why it is made.
    pub reason: Option<String>,
    /// What it refuses, in the form that is compared.
    pub matches: DenialMatch,
    /// Where it holds.
    pub scope: Scope,
    /// Whether it is enforced or only reported.
    pub enforcement: Enforcement,
    /// The second from which it refuses nothing any more.
    pub expires_at: Option<UnixSeconds>,
}

impl Store {
    /// An organization's denials.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_denials(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<Denial>, StoreError> {
        let mut connection = self.list_reader().await?;
        let found = denials(params![organization])
            .entries(&mut connection, request)
            .await?;
        let (data, has_more) = found;
        Ok(Page::new(data, has_more))
    }

    /// A denial.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_denial(
        &self,
        organization: &OrganizationId,
        id: &DenialId,
    ) -> Result<Denial, StoreError> {
        find(&mut self.reader().await?, organization, id).await
    }
}

impl WriteTx {
    /// Creates a denial.
    ///
    /// # Errors
    /// [`StoreError::QuotaReached`], [`StoreError::NotFound`] for the project,
    /// [`StoreError::ProjectArchived`].
    pub async fn create_denial(&mut self, new: NewDenial) -> Result<Change<Denial>, StoreError> {
        self.check_quota(Quota::Denials).await?;
        if let Some(project) = new.scope.project() {
            self.open_project(project, Archived::Refused).await?;
        }
        let id = DenialId::from_random(self.sources().id()?);
        let created_by = self.actor_key();
        self.connection
            .execute(
                "INSERT INTO denials (id, organization_id, project_id, name, reason, matches, \
                 enforcement, created_by, created_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                params![
                    id,
                    self.organization,
                    new.scope,
                    new.name,
                    new.reason.as_deref(),
                    json_column::to_column(&new.matches)?,
                    new.enforcement,
                    created_by,
                    self.now,
                    new.expires_at,
                ],
            )
            .await?;
        self.count_denials().await?;
        let denial = Denial {
            object: DenialObject::Denial.into(),
            id,
            name: new.name,
            reason: new.reason,
            matches: new.matches,
            project_id: new.scope.project().cloned(),
            enforcement: new.enforcement.into(),
            created_at: self.now,
            expires_at: new.expires_at,
            created_by,
            usage: None,
        };
        let events = vec![self.denial_changed(&denial, DenialChange::Created)];
        Ok(Change {
            answer: denial,
            events,
        })
    }

    /// Deletes a denial.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_denial(
        &mut self,
        id: &DenialId,
    ) -> Result<Change<DeletedDenial>, StoreError> {
        let denial = find(&mut self.connection, &self.organization, id).await?;
        self.connection
            .execute("DELETE FROM denials WHERE id = $1", params![id])
            .await?;
        self.count_denials().await?;
        Ok(Change {
            answer: DeletedDenial {
                object: DeletedDenialObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events: vec![self.denial_changed(&denial, DenialChange::Deleted)],
        })
    }

    /// The key that makes this write. The operator's own commands set no denial and no floor.
    pub(super) fn actor_key(&self) -> ApiKeyId {
        match &self.actor {
            Actor::ApiKey(key) | Actor::Gateway(key) => key.clone(),
            Actor::Operator => ApiKeyId::opaque("key_operator"),
        }
    }

    fn denial_changed(&self, denial: &Denial, change: DenialChange) -> AuditEvent {
        AuditEvent::AccessTaken(AccessTaken::Denial {
            organization: self.organization.clone(),
            id: denial.id.clone(),
            name: denial.name.clone(),
            matches: denial.matches.clone(),
            change,
        })
    }

    async fn count_denials(&mut self) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "UPDATE organizations SET denials = \
                 (SELECT count(*) FROM denials WHERE organization_id = $1) WHERE id = $1",
                params![self.organization],
            )
            .await
    }
}

const fn denials<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: COLUMNS,
        from: "FROM denials t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &DenialId,
) -> Result<Denial, StoreError> {
    denials(params![organization])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Denial, id.as_str()))
}

impl FromRow for Denial {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: DenialObject::Denial.into(),
            id: row.next()?,
            name: row.next()?,
            reason: row.next()?,
            matches: json_column::from_column(row)?,
            project_id: row.next::<Scope>()?.project().cloned(),
            enforcement: row.next::<Enforcement>()?.into(),
            created_at: row.next()?,
            expires_at: row.next()?,
            created_by: row.next()?,
            usage: None,
        })
    }
}
