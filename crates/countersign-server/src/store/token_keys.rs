//! The keys that an organization's tokens are signed with. Each organization has its own, so that what a
//! key can do ends at its organization, and so that a new key reaches gateways as every change does.

use std::fmt;

use countersign_types::{
    UnixSeconds,
    audit::{AuditEvent, TokenKeyChange},
    compact_jws::{KEY_BYTES, PublicKey, SigningKey},
    id::{OrganizationId, TokenKeyId},
    page::Page,
    token::MAX_TOKEN_SECONDS,
    token_key::{TokenKey, TokenKeyObject},
};

use super::{
    Change, PageRequest, Store, StoreError, WriteTx,
    connection::Connection,
    listing::Listing,
    row::{FromRow, Row},
    value::{Value, params},
};

/// How old a key is when another takes its place.
pub const ROTATE_TOKEN_KEYS_AFTER: u64 = 30 * 24 * 60 * 60;
/// How long a new key is known to gateways before it signs: much longer than a change takes to reach one, so
/// that also one that was cut off for minutes knows it in time.
const KNOWN_BEFORE: u64 = 10 * 60;
/// How many organizations' keys are replaced at a time.
const AT_A_TIME: i64 = 16;

/// A key with what only signing needs.
pub struct StoredTokenKey {
    /// The key as the API shows it.
    pub key: TokenKey,
    seed: Vec<u8>,
}

impl fmt::Debug for StoredTokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredTokenKey({})", self.key.id)
    }
}

impl StoredTokenKey {
    /// The key that signs.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is none.
    pub fn signing_key(&self) -> Result<SigningKey, StoreError> {
        SigningKey::new(self.key.id.as_str(), &self.seed)
            .map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}

impl Store {
    /// An organization's token keys.
    ///
    /// # Errors
    /// [`StoreError::UnknownCursor`].
    pub async fn list_token_keys(
        &self,
        organization: &OrganizationId,
        request: &PageRequest,
    ) -> Result<Page<TokenKey>, StoreError> {
        let mut connection = self.list_reader().await?;
        listing(params![organization])
            .page(&mut connection, request)
            .await
    }

    /// The organizations whose newest key is to be replaced.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn organizations_with_old_token_keys(
        &self,
    ) -> Result<Vec<OrganizationId>, StoreError> {
        let before = self.inner.sources.now();
        let before = before.saturating_sub(ROTATE_TOKEN_KEYS_AFTER);
        let mut connection = self.reader().await?;
        connection
            .query(
                "SELECT organization_id FROM token_keys GROUP BY organization_id \
                 HAVING max(created_at) <= $1 ORDER BY organization_id LIMIT $2",
                params![before, AT_A_TIME],
            )
            .await
    }
}

impl WriteTx {
    /// Makes the organization's first key, if it has none.
    pub(super) async fn ensure_token_key(&mut self) -> Result<Vec<AuditEvent>, StoreError> {
        let sql = "SELECT count(*) FROM token_keys WHERE organization_id = $1";
        let count = self
            .connection
            .number(sql, params![self.organization])
            .await?;
        if count > 0 {
            return Ok(Vec::new());
        }
        let key = self.insert_token_key(self.now).await?;
        Ok(vec![
            self.token_key_changed(TokenKeyChange::Created(key.id)),
        ])
    }

    /// Puts a new key in place of the newest, which signs until every gateway has the new one; or at once,
    /// which ends every token of the organization. Where a new one waits for its time already, nothing
    /// changes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rotate_token_key(
        &mut self,
        at_once: bool,
    ) -> Result<Change<TokenKey>, StoreError> {
        let keys = all(&mut self.connection, &self.organization).await?;
        let waiting = keys.last().filter(|newest| newest.key.signs_at > self.now);
        if let (Some(waiting), false) = (waiting, at_once) {
            return Ok(Change::none(waiting.key.clone()));
        }
        if at_once {
            self.connection
                .execute(
                    "DELETE FROM token_keys WHERE organization_id = $1",
                    params![self.organization],
                )
                .await?;
        }
        // Without any, there is nothing to wait for.
        let waits = !at_once && !keys.is_empty();
        let signs_at = self.now + if waits { KNOWN_BEFORE } else { 0 };
        self.end_token_keys(signs_at + MAX_TOKEN_SECONDS).await?;
        let key = self.insert_token_key(signs_at).await?;
        let event = self.token_key_changed(TokenKeyChange::Rotated {
            id: key.id.clone(),
            at_once,
        });
        Ok(Change {
            answer: key,
            events: vec![event],
        })
    }

    /// The same for a key that is old enough.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rotate_old_token_key(&mut self) -> Result<Vec<AuditEvent>, StoreError> {
        let keys = all(&mut self.connection, &self.organization).await?;
        let is_old = |key: &StoredTokenKey| {
            key.key.created_at.saturating_add(ROTATE_TOKEN_KEYS_AFTER) <= self.now
        };
        if !keys.last().is_some_and(is_old) {
            return Ok(Vec::new());
        }
        Ok(self.rotate_token_key(false).await?.events)
    }

    /// Says when the keys that there are end, and forgets those that have ended.
    async fn end_token_keys(&mut self, at: UnixSeconds) -> Result<(), StoreError> {
        self.connection
            .execute(
                "DELETE FROM token_keys WHERE organization_id = $1 AND expires_at <= $2",
                params![self.organization, self.now],
            )
            .await?;
        self.connection
            .execute(
                "UPDATE token_keys SET expires_at = $2 \
                 WHERE organization_id = $1 AND expires_at IS NULL",
                params![self.organization, at],
            )
            .await?;
        Ok(())
    }

    async fn insert_token_key(&mut self, signs_at: UnixSeconds) -> Result<TokenKey, StoreError> {
        let seed: [u8; KEY_BYTES] = self.sources().bytes()?;
        let id = TokenKeyId::from_random(self.sources().id()?);
        let unusable = |_| StoreError::Internal("a signing key cannot be made".to_owned());
        let public_key = SigningKey::new(id.as_str(), &seed)
            .and_then(|key| key.public_key())
            .map_err(unusable)?;
        self.connection
            .execute(
                "INSERT INTO token_keys (id, organization_id, public_key, seed, created_at, signs_at) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
                params![
                    id,
                    self.organization,
                    *public_key.as_bytes(),
                    seed,
                    self.now,
                    signs_at,
                ],
            )
            .await?;
        Ok(TokenKey {
            object: TokenKeyObject::Key.into(),
            id,
            public_key,
            created_at: self.now,
            signs_at,
            expires_at: None,
        })
    }

    fn token_key_changed(&self, change: TokenKeyChange) -> AuditEvent {
        AuditEvent::TokenKeyChanged {
            organization: self.organization.clone(),
            change,
        }
    }
}

/// An organization's keys, oldest first.
pub(super) async fn all(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<Vec<StoredTokenKey>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, t.seed FROM token_keys t WHERE t.organization_id = $1 \
         ORDER BY t.created_at, t.seq"
    );
    connection.query(&sql, params![organization]).await
}

const COLUMNS: &str = "t.id, t.public_key, t.created_at, t.signs_at, t.expires_at";

const fn listing<'a>(values: &'a [Value<'a>]) -> Listing<'a> {
    Listing {
        columns: COLUMNS,
        from: "FROM token_keys t WHERE t.organization_id = $1",
        only: "",
        values,
    }
}

/// A public key as a column holds it.
pub(super) fn public_key(row: &mut Row<'_>) -> Result<PublicKey, StoreError> {
    let bytes: Vec<u8> = row.next()?;
    PublicKey::try_from(bytes.as_slice()).map_err(|error| StoreError::Corrupt(error.to_string()))
}

impl FromRow for TokenKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            object: TokenKeyObject::Key.into(),
            id: row.next()?,
            public_key: public_key(row)?,
            created_at: row.next()?,
            signs_at: row.next()?,
            expires_at: row.next()?,
        })
    }
}

impl FromRow for StoredTokenKey {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.several()?,
            seed: row.next()?,
        })
    }
}
