//! Floors of trust anchors: from when on the leaves under them must have been issued.

use countersign_types::{
    UnixSeconds,
    audit::{AccessTaken, AuditEvent},
    certificate::{Certificate, Enforcement},
    id::CertificateId,
};

use super::{Change, StoreError, WriteTx, value::params};

impl WriteTx {
    /// Sets or removes a certificate's floor, which the caller has checked, or the one that is only reported. One
    /// that is enforced removes the reported one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_floor(
        &mut self,
        id: &CertificateId,
        floor: Option<UnixSeconds>,
        enforcement: Enforcement,
    ) -> Result<Change<Certificate>, StoreError> {
        let mut certificate = self.find_certificate(id).await?;
        let before = (
            certificate.refuse_issued_before,
            certificate.reported_refuse_issued_before,
        );
        match enforcement {
            Enforcement::Enforce => {
                certificate.refuse_issued_before = floor;
                certificate.reported_refuse_issued_before = None;
            }
            Enforcement::Report => certificate.reported_refuse_issued_before = floor,
        }
        let after = (
            certificate.refuse_issued_before,
            certificate.reported_refuse_issued_before,
        );
        if before == after {
            return Ok(Change::none(certificate));
        }
        self.write_floor(id, floor, enforcement, before.0 != after.0)
            .await?;
        let event = AuditEvent::AccessTaken(AccessTaken::Floor {
            id: certificate.id.clone(),
            name: certificate.name.clone(),
            refuse_issued_before: floor,
            enforcement,
        });
        Ok(Change {
            answer: certificate,
            events: vec![event],
        })
    }

    /// Who set a floor, and when, stays where it stays the same.
    async fn write_floor(
        &mut self,
        id: &CertificateId,
        floor: Option<UnixSeconds>,
        enforcement: Enforcement,
        differs: bool,
    ) -> Result<(), StoreError> {
        let sql = match enforcement {
            Enforcement::Enforce if differs => {
                "UPDATE certificates SET floor = $2, floor_set_by = $3, floor_set_at = $4, \
                 reported_floor = NULL, reported_floor_set_by = NULL, reported_floor_set_at = NULL \
                 WHERE id = $1"
            }
            Enforcement::Enforce => {
                "UPDATE certificates SET reported_floor = NULL, reported_floor_set_by = NULL, \
                 reported_floor_set_at = NULL WHERE id = $1"
            }
            Enforcement::Report => {
                "UPDATE certificates SET reported_floor = $2, reported_floor_set_by = $3, \
                 reported_floor_set_at = $4 WHERE id = $1"
            }
        };
        let by = floor.map(|_| self.actor_key());
        let at = floor.map(|_| self.now);
        if enforcement == Enforcement::Enforce && !differs {
            self.connection.execute(sql, params![id]).await?;
        } else {
            let values = params![id, floor, by, at];
            self.connection.execute(sql, values).await?;
        }
        Ok(())
    }
}
