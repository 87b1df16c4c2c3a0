//! Ends rotations: a finished one leaves the new anchor alone, an aborted one restores the old
//! state.

use countersign_types::{
    audit::AuditEvent,
    certificate::{Certificate, Enforcement},
    id::{CertificateId, RotationId},
    rotation::{Rotation, RotationStatus},
};

use super::{
    Change, RotationProblem, StoreError, WriteTx,
    rotations::{StoredScope, rotated},
};

impl WriteTx {
    /// Finishes a rotation: enforces the new anchor wherever the old one is enforced, and deactivates
    /// the old one. A finished rotation stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RotationEnded`] when it was aborted,
    /// [`StoreError::RotationBroken`]; with `force`, only for what the new anchor lacks.
    pub async fn finish_rotation(
        &mut self,
        id: &RotationId,
        force: bool,
    ) -> Result<Change<Rotation>, StoreError> {
        let rotation = self.find_rotation(id).await?;
        match rotation.status.known() {
            Some(RotationStatus::InProgress) => {}
            Some(RotationStatus::Finished) => return Ok(Change::none(rotation)),
            Some(RotationStatus::Aborted) | None => return Err(StoreError::RotationEnded),
        }
        let mut problems = self.rotation_problems(&rotation).await?;
        if force {
            problems.retain(RotationProblem::is_fatal);
        }
        if !problems.is_empty() {
            return Err(StoreError::RotationBroken { problems });
        }
        let new = [rotation.new_certificate_id.clone()];
        let old = [rotation.old_certificate_id.clone()];
        let mut events = Vec::new();
        for at in self.rotation_scopes(&rotation).await? {
            let enforced = Some(Enforcement::Enforce);
            if at.old == enforced && at.new != enforced {
                let promoted = self.activate_certificates(&at.scope, &new, Enforcement::Enforce);
                match promoted.await {
                    Ok(promoted) => events.extend(promoted.events),
                    // Keys of an archived project work nowhere, so nothing is lost with the old
                    // anchor.
                    Err(StoreError::ProjectArchived) => {}
                    Err(error) => return Err(error),
                }
            }
            if at.old.is_some() {
                let gone = self.deactivate_certificates(&at.scope, &old).await?;
                events.extend(gone.events);
            }
        }
        self.ended(rotation, RotationStatus::Finished, events).await
    }

    /// Aborts a rotation: undoes the activations that it made, and nothing else. An aborted rotation
    /// stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::RotationEnded`] when it was finished,
    /// [`StoreError::WouldDisarm`] when a scope would be left with nothing enforced, unless `force`.
    pub async fn abort_rotation(
        &mut self,
        id: &RotationId,
        force: bool,
    ) -> Result<Change<Rotation>, StoreError> {
        let rotation = self.find_rotation(id).await?;
        match rotation.status.known() {
            Some(RotationStatus::InProgress) => {}
            Some(RotationStatus::Aborted) => return Ok(Change::none(rotation)),
            Some(RotationStatus::Finished) | None => return Err(StoreError::RotationEnded),
        }
        let new = rotation.new_certificate_id.clone();
        let mut events = Vec::new();
        for at in self.rotation_scopes(&rotation).await? {
            let enforcing = self.is_enforcing(&at.scope).await?;
            events.extend(self.take_back(&at, &new).await?);
            if enforcing && !force && !self.is_enforcing(&at.scope).await? {
                return Err(StoreError::WouldDisarm { scope: at.scope });
            }
        }
        self.ended(rotation, RotationStatus::Aborted, events).await
    }

    /// What stands in the way of finishing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rotation_problems(
        &mut self,
        rotation: &Rotation,
    ) -> Result<Vec<RotationProblem>, StoreError> {
        let old = self
            .certificate_if_there(&rotation.old_certificate_id)
            .await?;
        let new = self
            .certificate_if_there(&rotation.new_certificate_id)
            .await?;
        let mut problems = Vec::new();
        if old.is_none() {
            problems.push(RotationProblem::OldDeleted);
        }
        match &new {
            None => problems.push(RotationProblem::NewDeleted),
            Some(new) => {
                let end = new.certificate_details.expires_at;
                if end.is_some_and(|end| end <= self.now) {
                    problems.push(RotationProblem::NewExpired);
                }
            }
        }
        for at in self.rotation_scopes(rotation).await? {
            if old.is_some() && at.old.is_none() {
                problems.push(RotationProblem::OldNotActive(at.scope.clone()));
            }
            if new.is_some() && at.new.is_none() {
                problems.push(RotationProblem::NewNotActive(at.scope));
            }
        }
        Ok(problems)
    }

    async fn ended(
        &mut self,
        rotation: Rotation,
        status: RotationStatus,
        mut events: Vec<AuditEvent>,
    ) -> Result<Change<Rotation>, StoreError> {
        let Rotation {
            id,
            old_certificate_id,
            new_certificate_id,
            ..
        } = rotation;
        self.set_rotation_status(&id, status).await?;
        let old = self.certificate_if_there(&old_certificate_id).await?;
        let new = self.certificate_if_there(&new_certificate_id).await?;
        let ids = [&old_certificate_id, &new_certificate_id];
        events.insert(0, rotated(&id, status, [old.as_ref(), new.as_ref()], ids));
        let answer = self.find_rotation(&id).await?;
        Ok(Change { answer, events })
    }

    /// Undoes what the rotation did at a scope, as far as nobody changed it since.
    async fn take_back(
        &mut self,
        at: &StoredScope,
        new: &CertificateId,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let (Some(_), Some(is)) = (at.new_set, at.new) else {
            return Ok(Vec::new());
        };
        let ids = [new.clone()];
        match at.new_before {
            None => Ok(self.deactivate_certificates(&at.scope, &ids).await?.events),
            Some(before) if before != is => {
                let lowered = self.activate_certificates(&at.scope, &ids, before).await;
                match lowered {
                    Ok(lowered) => Ok(lowered.events),
                    // An archived project or an expired anchor lets nothing through any more.
                    Err(StoreError::ProjectArchived | StoreError::Expired { .. }) => Ok(Vec::new()),
                    Err(error) => Err(error),
                }
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    async fn certificate_if_there(
        &mut self,
        id: &CertificateId,
    ) -> Result<Option<Certificate>, StoreError> {
        match self.find_certificate(id).await {
            Ok(certificate) => Ok(Some(certificate)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
