//! The keys of gateways whose receipts organizations believe. The audit log says which they are, and since
//! when, so that a receipt is verified with nothing else.

use countersign_types::{
    audit::{Actor, AuditEvent, ReceiptKeyChange},
    compact_jws::PublicKey,
    id::{ApiKeyId, GatewayId, OrganizationId, ReceiptKeyId},
};

use super::{Change, Store, StoreError, WriteTx, value::params};

/// The most keys that an organization believes: much more than there are gateways.
pub const MAX_RECEIPT_KEYS: u64 = 1_000;
/// How many organizations a key is withdrawn from at a time.
const AT_A_TIME: i64 = 100;

impl WriteTx {
    /// Registers the key of a gateway, which the actor is. It changes nothing where it is registered.
    ///
    /// # Errors
    /// [`StoreError::KeyRevoked`] if the actor is no gateway, [`StoreError::ReceiptKeyLimit`].
    pub async fn register_receipt_key(
        &mut self,
        gateway: &GatewayId,
        public_key: PublicKey,
    ) -> Result<Change<()>, StoreError> {
        let Actor::Gateway(by) = self.actor.clone() else {
            return Err(StoreError::KeyRevoked);
        };
        let id = ReceiptKeyId::of(&public_key);
        let sql = "SELECT count(*) FROM receipt_keys WHERE organization_id = $1 AND id = $2";
        let known = params![self.organization, id];
        if self.connection.number(sql, known).await? > 0 {
            return Ok(Change::none(()));
        }
        let sql = "SELECT count(*) FROM receipt_keys WHERE organization_id = $1";
        let count = self
            .connection
            .number(sql, params![self.organization])
            .await?;
        if count >= MAX_RECEIPT_KEYS {
            return Err(StoreError::ReceiptKeyLimit);
        }
        self.connection
            .execute(
                "INSERT INTO receipt_keys (organization_id, id, gateway_id, key_id, created_at) \
                 VALUES ($1, $2, $3, $4, $5)",
                params![self.organization, id, gateway, by, self.now],
            )
            .await?;
        let change = ReceiptKeyChange::Registered {
            id,
            public_key,
            gateway: gateway.clone(),
        };
        Ok(Change {
            answer: (),
            events: vec![self.receipt_key_changed(change)],
        })
    }

    /// Withdraws the keys that were registered with a gateway key.
    async fn withdraw_receipt_keys(
        &mut self,
        by: &ApiKeyId,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let withdrawn: Vec<(ReceiptKeyId, GatewayId)> = self
            .connection
            .query(
                "DELETE FROM receipt_keys WHERE organization_id = $1 AND key_id = $2 \
                 RETURNING id, gateway_id",
                params![self.organization, by],
            )
            .await?;
        let changes = withdrawn.into_iter();
        let changes = changes.map(|(id, gateway)| ReceiptKeyChange::Withdrawn { id, gateway });
        Ok(changes
            .map(|change| self.receipt_key_changed(change))
            .collect())
    }

    fn receipt_key_changed(&self, change: ReceiptKeyChange) -> AuditEvent {
        AuditEvent::ReceiptKeyChanged {
            organization: self.organization.clone(),
            change,
        }
    }
}

impl Store {
    /// Withdraws all keys that were registered with a gateway key, which is about to be deleted: each is a
    /// change of its organization.
    pub(super) async fn withdraw_receipt_keys_of(&self, by: &ApiKeyId) -> Result<(), StoreError> {
        loop {
            let organizations: Vec<OrganizationId> = self
                .reader()
                .await?
                .query(
                    "SELECT DISTINCT organization_id FROM receipt_keys WHERE key_id = $1 LIMIT $2",
                    params![by, AT_A_TIME],
                )
                .await?;
            if organizations.is_empty() {
                return Ok(());
            }
            for organization in &organizations {
                let mut tx = self.write(organization, Actor::Operator).await?;
                let events = tx.withdraw_receipt_keys(by).await?;
                tx.commit(events).await?;
            }
        }
    }
}
