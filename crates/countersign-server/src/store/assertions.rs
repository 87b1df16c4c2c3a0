//! Assertions of an organization: which chains must pass at a scope, and which must be refused.

use countersign_types::{
    assertion::{Assertion, DeletedAssertion, DeletedAssertionObject},
    audit::{AssertionChange, AuditEvent},
    id::{AssertionId, OrganizationId},
    page::Page,
};

use super::{
    Change, Kind, PageRequest, Quota, Store, StoreError, WriteTx,
    asserted::COLUMNS,
    connection::Connection,
    kept_assertion::{KeptAssertion, NewAssertion},
    listing::Listing,
    observed_chains::pack,
    projects::Archived,
    value::{Value, params},
};

impl Store {
    /// An organization's assertions.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_assertions(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<Assertion>, StoreError> {
        let mut connection = self.list_reader().await?;
        let (kept, has_more) = assertions(params![organization])
            .entries::<KeptAssertion>(&mut connection, request)
            .await?;
        let shown = kept.into_iter().map(KeptAssertion::into_assertion);
        Ok(Page::new(shown.collect(), has_more))
    }

    /// An assertion.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn retrieve_assertion(
        &self,
        organization: &OrganizationId,
        id: &AssertionId,
    ) -> Result<Assertion, StoreError> {
        let found = find(&mut self.reader().await?, organization, id).await?;
        Ok(found.into_assertion())
    }
}

impl WriteTx {
    /// Creates an assertion. It may be one that does not hold yet.
    ///
    /// # Errors
    /// [`StoreError::QuotaReached`], [`StoreError::NameTaken`], [`StoreError::NotFound`] for the
    /// project, [`StoreError::ProjectArchived`].
    pub async fn create_assertion(
        &mut self,
        new: NewAssertion,
    ) -> Result<Change<Assertion>, StoreError> {
        self.check_quota(Quota::Assertions).await?;
        if let Some(project) = new.scope.project() {
            self.open_project(project, Archived::Refused).await?;
        }
        self.refuse_taken(&new.name, None).await?;
        let id = AssertionId::from_random(self.sources().id()?);
        let chain: Vec<_> = new.presented.leaf().into_iter().cloned().collect();
        let chain = [chain.as_slice(), new.presented.intermediates()].concat();
        self.connection
            .execute(
                "INSERT INTO assertions (id, organization_id, project_id, name, reason, expect, \
                 code, chain, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                params![
                    id,
                    self.organization,
                    new.scope,
                    new.name,
                    new.reason.as_deref(),
                    new.expect,
                    new.code,
                    pack(&chain),
                    self.now,
                ],
            )
            .await?;
        self.count_assertions().await?;
        let name = new.name.clone();
        let events = vec![self.assertion_changed(&id, AssertionChange::Created { name })];
        let kept = KeptAssertion {
            id,
            created_at: self.now,
            says: new,
        };
        Ok(Change {
            answer: kept.into_assertion(),
            events,
        })
    }

    /// Changes an assertion's name and reason; what is absent stays, an empty reason is removed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::NameTaken`].
    pub async fn update_assertion(
        &mut self,
        id: &AssertionId,
        name: Option<String>,
        reason: Option<String>,
    ) -> Result<Change<Assertion>, StoreError> {
        let mut kept = find(&mut self.connection, &self.organization, id).await?;
        let before = (kept.says.name.clone(), kept.says.reason.clone());
        if let Some(name) = name {
            self.refuse_taken(&name, Some(id)).await?;
            kept.says.name = name;
        }
        if let Some(reason) = reason {
            kept.says.reason = Some(reason).filter(|reason| !reason.is_empty());
        }
        let says = &kept.says;
        if before == (says.name.clone(), says.reason.clone()) {
            return Ok(Change::none(kept.into_assertion()));
        }
        self.connection
            .execute(
                "UPDATE assertions SET name = $2, reason = $3 WHERE id = $1",
                params![id, says.name, says.reason.as_deref()],
            )
            .await?;
        let name = says.name.clone();
        let events = vec![self.assertion_changed(id, AssertionChange::Updated { name })];
        Ok(Change {
            answer: kept.into_assertion(),
            events,
        })
    }

    /// Deletes an assertion.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_assertion(
        &mut self,
        id: &AssertionId,
    ) -> Result<Change<DeletedAssertion>, StoreError> {
        let name = find(&mut self.connection, &self.organization, id).await?;
        let name = name.says.name;
        self.connection
            .execute("DELETE FROM assertions WHERE id = $1", params![id])
            .await?;
        self.count_assertions().await?;
        Ok(Change {
            answer: DeletedAssertion {
                object: DeletedAssertionObject::Deleted.into(),
                id: id.clone(),
                deleted: true,
            },
            events: vec![self.assertion_changed(id, AssertionChange::Deleted { name })],
        })
    }

    fn assertion_changed(&self, id: &AssertionId, change: AssertionChange) -> AuditEvent {
        AuditEvent::AssertionChanged {
            organization: self.organization.clone(),
            id: id.clone(),
            change,
        }
    }

    /// Names are told apart where a change is refused, so no two are alike.
    async fn refuse_taken(
        &mut self,
        name: &str,
        but: Option<&AssertionId>,
    ) -> Result<(), StoreError> {
        let found: Option<AssertionId> = self
            .connection
            .find(
                "SELECT id FROM assertions WHERE organization_id = $1 AND name = $2",
                params![self.organization, name],
            )
            .await?;
        match found {
            Some(found) if Some(&found) != but => Err(StoreError::NameTaken),
            _ => Ok(()),
        }
    }

    async fn count_assertions(&mut self) -> Result<u64, StoreError> {
        self.connection
            .execute(
                "UPDATE organizations SET assertions = \
                 (SELECT count(*) FROM assertions WHERE organization_id = $1) WHERE id = $1",
                params![self.organization],
            )
            .await
    }
}

const fn assertions<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: COLUMNS,
        from: "FROM assertions t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

async fn find(
    connection: &mut Connection,
    organization: &OrganizationId,
    id: &AssertionId,
) -> Result<KeptAssertion, StoreError> {
    assertions(params![organization])
        .retrieve(connection, id.as_str())
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Assertion, id.as_str()))
}
