//! Rows that read themselves: each column in its turn, as what it is.

use std::str::FromStr;

use countersign_types::{
    api_key::{KeyKind, Permission},
    assertion::{AssertedCode, Expectation},
    certificate::{Enforcement, Scope},
    crl::CrlMissing,
    digest::{ChainDigest, KeyDigest, Sha256},
    history::RevisionToken,
    id::{
        ApiKeyId, AssertionId, AuditLogId, CertificateId, CrlId, DenialId, FederationRuleId,
        GatewayId, OrganizationId, ProjectId, ReceiptKeyId, RotationId, ServiceAccountId,
        TokenKeyId, WebhookDeliveryId, WebhookId, WorkloadIdentityProviderId,
    },
    or_unknown::OrUnknown,
    project::{Residency, ServiceAccountRole},
    rotation::RotationStatus,
    secret::Secret,
    webhook::WebhookDeliveryStatus,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::{StoreError, value::Value};

/// A row as its driver gives it.
pub(super) enum DriverRow<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl<'a> DriverRow<'a> {
    fn columns(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.as_ref().column_count(),
            Self::Postgres(row) => row.len(),
        }
    }

    fn value(&self, column: usize) -> Result<Value<'a>, String> {
        match self {
            Self::Sqlite(row) => {
                let value = row.get_ref(column).map_err(|error| error.to_string())?;
                Value::try_from(value)
            }
            Self::Postgres(row) => row.try_get(column).map_err(|error| error.to_string()),
        }
    }
}

/// A row that is being read, from its first column to its last.
pub(super) struct Row<'a> {
    row: DriverRow<'a>,
    next: usize,
}

/// What one column holds. An error says what is wrong with it, and never what a column of secrets
/// holds.
pub(super) trait FromValue<'a>: Sized {
    fn from_value(value: Value<'a>) -> Result<Self, String>;
}

/// What one or more columns hold, in their order.
pub(super) trait FromRow: Sized {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError>;
}

impl<'a> Row<'a> {
    /// Reads a whole row.
    pub(super) fn read<T: FromRow>(row: DriverRow<'a>) -> Result<T, StoreError> {
        let mut reading = Self { row, next: 0 };
        let value = T::from_row(&mut reading)?;
        // A statement and its reader that disagree would put columns into the wrong places.
        if reading.next != reading.row.columns() {
            let (read, there) = (reading.next, reading.row.columns());
            let message = format!("{read} columns were read of a row of {there}");
            return Err(StoreError::Internal(message));
        }
        Ok(value)
    }

    /// The next column.
    pub(super) fn next<T: FromValue<'a>>(&mut self) -> Result<T, StoreError> {
        let column = self.next;
        self.next += 1;
        self.row
            .value(column)
            .and_then(T::from_value)
            .map_err(|wrong| StoreError::Corrupt(format!("column {column}: {wrong}")))
    }

    /// The next column, where the empty text stands for nothing: columns of a key hold no null.
    pub(super) fn next_unless_empty<T: FromValue<'a>>(&mut self) -> Result<Option<T>, StoreError> {
        let UnlessEmpty(found) = self.next()?;
        Ok(found)
    }

    /// Several columns.
    pub(super) fn several<T: FromRow>(&mut self) -> Result<T, StoreError> {
        T::from_row(self)
    }
}

struct UnlessEmpty<T>(Option<T>);

impl<'a, T: FromValue<'a>> FromValue<'a> for UnlessEmpty<T> {
    fn from_value(value: Value<'a>) -> Result<Self, String> {
        match value {
            Value::Text("") => Ok(Self(None)),
            other => T::from_value(other).map(|found| Self(Some(found))),
        }
    }
}

impl<T: for<'a> FromValue<'a>> FromRow for T {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        row.next()
    }
}

impl<A: FromRow, B: FromRow> FromRow for (A, B) {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok((row.several()?, row.several()?))
    }
}

impl<A: FromRow, B: FromRow, C: FromRow> FromRow for (A, B, C) {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok((row.several()?, row.several()?, row.several()?))
    }
}

fn is_not(wanted: &str, value: Value<'_>) -> String {
    format!("{} where {wanted} belongs", value.kind())
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    fn from_value(value: Value<'a>) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// What the database holds is known: only other servers' answers have more.
impl<'a, T: FromValue<'a>> FromValue<'a> for OrUnknown<T> {
    fn from_value(value: Value<'a>) -> Result<Self, String> {
        T::from_value(value).map(Self::Known)
    }
}

impl FromValue<'_> for i64 {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Int(number) => Ok(number),
            other => Err(is_not("a number", other)),
        }
    }
}

impl FromValue<'_> for u64 {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        let number = i64::from_value(value)?;
        Self::try_from(number).map_err(|_| format!("the number {number} is negative"))
    }
}

impl<'a> FromValue<'a> for &'a str {
    fn from_value(value: Value<'a>) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(is_not("text", other)),
        }
    }
}

impl FromValue<'_> for String {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl FromValue<'_> for Secret {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        <&str>::from_value(value).map(Self::new)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    fn from_value(value: Value<'a>) -> Result<Self, String> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(is_not("bytes", other)),
        }
    }
}

impl FromValue<'_> for Vec<u8> {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl FromValue<'_> for Sha256 {
    /// The audit log keeps digests as text, as it shows and hashes them; other tables as bytes.
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        match value {
            Value::Text(text) => text.parse().map_err(|_| "no digest".to_owned()),
            Value::Bytes(bytes) => Self::try_from(bytes).map_err(|_| "no digest".to_owned()),
            other => Err(is_not("a digest", other)),
        }
    }
}

impl FromValue<'_> for ChainDigest {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        Sha256::from_value(value).map(Self::new)
    }
}

impl FromValue<'_> for KeyDigest {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        Sha256::from_value(value).map(Self::new)
    }
}

impl FromValue<'_> for Scope {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        let UnlessEmpty(project) = UnlessEmpty::<ProjectId>::from_value(value)?;
        Ok(Self::from(project))
    }
}

impl FromValue<'_> for KeyKind {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        let kinds = [Self::Admin, Self::Project, Self::Gateway];
        one_of(&kinds, |kind| kind.as_str(), value)
    }
}

impl FromValue<'_> for CrlMissing {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        let all = [Self::Allow, Self::Deny];
        one_of(&all, |missing| missing.as_str(), value)
    }
}

impl FromValue<'_> for WebhookDeliveryStatus {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        let all = [Self::Pending, Self::Delivered, Self::Failed];
        one_of(&all, |status| status.as_str(), value)
    }
}

impl FromValue<'_> for Vec<Permission> {
    /// Names with spaces between them.
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        <&str>::from_value(value)?
            .split_ascii_whitespace()
            .map(|name| Permission::from_name(name).ok_or_else(|| unknown(name)))
            .collect()
    }
}

fn one_of<T: Copy>(
    all: &[T],
    name: impl Fn(T) -> &'static str,
    value: Value<'_>,
) -> Result<T, String> {
    let text = <&str>::from_value(value)?;
    let mut all = all.iter().copied();
    all.find(|each| name(*each) == text)
        .ok_or_else(|| unknown(text))
}

fn unknown(text: &str) -> String {
    format!("`{}` is not what belongs there", text.escape_debug())
}

fn parse<T: FromStr>(value: Value<'_>) -> Result<T, String> {
    let text = <&str>::from_value(value)?;
    text.parse().map_err(|_| unknown(text))
}

macro_rules! parsed {
    ($($name:ty),* $(,)?) => {
        $(impl FromValue<'_> for $name {
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                parse(value)
            }
        })*
    };
}

parsed!(
    ApiKeyId,
    AssertedCode,
    AssertionId,
    AuditLogId,
    CertificateId,
    CrlId,
    DenialId,
    FederationRuleId,
    Enforcement,
    Expectation,
    GatewayId,
    OrganizationId,
    ProjectId,
    ReceiptKeyId,
    RevisionToken,
    RotationId,
    ServiceAccountId,
    TokenKeyId,
    WebhookDeliveryId,
    WebhookId,
    WorkloadIdentityProviderId,
);

macro_rules! words {
    ($($name:ty),* $(,)?) => {
        $(impl FromValue<'_> for $name {
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                from_word(<&str>::from_value(value)?)
            }
        })*
    };
}

words!(Residency, RotationStatus, ServiceAccountRole);

fn from_word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Json::String(text.to_owned())).map_err(|_| unknown(text))
}

/// A word of the API as it is kept, for types that have no other name than the API's.
pub(super) fn word(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(Json::String(word)) => Ok(word),
        _ => Err(StoreError::Internal("a word that is not text".to_owned())),
    }
}
