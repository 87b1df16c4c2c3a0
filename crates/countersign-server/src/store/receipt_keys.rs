//! The keys of gateways whose receipts organizations believe. The audit log says which they are, and since
//! when, so that a receipt is verified with nothing else.

use countersign_types::{
    audit::{Actor, AuditEvent, ReceiptKeyChange},
    compact_jws::PublicKey,
    id::{ApiKeyId, GatewayId, OrganizationId, ReceiptKeyId},
    page::Page,
    receipt::{ReceiptKey, ReceiptKeyObject},
};

use super::{
    Change, Kind, PageRequest, Store, StoreError, WriteTx,
    listing::Listing,
    row::{FromRow, Row},
    value::{Value, params},
};

/// The most keys that an organization believes: much more than there are gateways.
pub const MAX_RECEIPT_KEYS: u64 = 1_000;
/// How many organizations a key is withdrawn from at a time.
const AT_A_TIME: i64 = 100;

/// Whether an organization believes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// It does.
    Believed,
    /// It was withdrawn by itself, for good.
    Withdrawn,
}

impl WriteTx {
    /// Registers the key of a gateway, which the actor is. It changes nothing where it is registered, or was
    /// withdrawn by itself: whoever withdrew it does not find it there again.
    ///
    /// # Errors
    /// [`StoreError::KeyRevoked`] if the actor is no gateway, [`StoreError::ReceiptKeyLimit`].
    pub async fn register_receipt_key(
        &mut self,
        gateway: &GatewayId,
        public_key: PublicKey,
    ) -> Result<Change<Belief>, StoreError> {
        let Actor::Gateway(by) = self.actor.clone() else {
            return Err(StoreError::KeyRevoked);
        };
        let id = ReceiptKeyId::of(&public_key);
        let known: Option<ReceiptKey> = listing(params![self.organization])
            .retrieve(&mut self.connection, id.as_str())
            .await?;
        if let Some(known) = known {
            return Ok(Change::none(match known.withdrawn_at {
                Some(_) => Belief::Withdrawn,
                None => Belief::Believed,
            }));
        }
        let sql = "SELECT count(*) FROM receipt_keys WHERE organization_id = $1 \
                   AND withdrawn_at IS NULL";
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
            answer: Belief::Believed,
            events: vec![self.receipt_key_changed(change)],
        })
    }

    /// Withdraws one key for good: receipts that rest on later events are believed no more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn withdraw_receipt_key(
        &mut self,
        id: &ReceiptKeyId,
    ) -> Result<Change<ReceiptKey>, StoreError> {
        let found: Option<ReceiptKey> = listing(params![self.organization])
            .retrieve(&mut self.connection, id.as_str())
            .await?;
        let key = found.ok_or_else(|| StoreError::not_found(Kind::ReceiptKey, id.as_str()))?;
        if key.withdrawn_at.is_some() {
            return Ok(Change::none(key));
        }
        self.connection
            .execute(
                "UPDATE receipt_keys SET key_id = NULL, withdrawn_at = $3 \
                 WHERE organization_id = $1 AND id = $2",
                params![self.organization, id, self.now],
            )
            .await?;
        let change = ReceiptKeyChange::Withdrawn {
            id: id.clone(),
            gateway: key.gateway_id.clone(),
        };
        Ok(Change {
            answer: ReceiptKey {
                gateway_key_id: None,
                withdrawn_at: Some(self.now),
                ..key
            },
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
    /// The keys of gateways whose receipts an organization believes, and those that were withdrawn by themselves.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_receipt_keys(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<ReceiptKey>, StoreError> {
        let mut connection = self.list_reader().await?;
        listing(params![organization])
            .page(&mut connection, request)
            .await
    }

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

const fn listing<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: "t.id, t.gateway_id, t.key_id, t.created_at, t.withdrawn_at",
        from: "FROM receipt_keys t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

impl FromRow for ReceiptKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: ReceiptKeyObject::Key.into(),
            id: row.next()?,
            gateway_id: row.next()?,
            gateway_key_id: row.next()?,
            created_at: row.next()?,
            withdrawn_at: row.next()?,
        })
    }
}
