//! What statements take and what rows hold, alike for both databases.

use std::error::Error;

use bytes::BytesMut;
use countersign_types::{
    api_key::KeyKind,
    assertion::{AssertedCode, Expectation},
    certificate::{Enforcement, Scope},
    crl::CrlMissing,
    digest::{ChainDigest, KeyDigest, Sha256},
    id::{
        ApiKeyId, AssertionId, AuditLogId, CertificateId, CrlId, DenialId, FederationRuleId,
        GatewayId, OrganizationId, ProjectId, ReceiptKeyId, RotationId, ServiceAccountId,
        TokenKeyId, WebhookDeliveryId, WebhookId, WorkloadIdentityProviderId,
    },
    project::ServiceAccountRole,
    webhook::WebhookDeliveryStatus,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// A parameter of a statement, or a column of a row. The schema knows no other types.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// The parameters of a statement: the `$n` of its text is the `n`th, from 1.
macro_rules! params {
    ($($parameter:expr),* $(,)?) => {
        &[$($crate::store::value::ToValue::to_value(&$parameter)),*]
    };
}
pub(super) use params;

/// What can be a parameter.
pub(super) trait ToValue {
    fn to_value(&self) -> Value<'_>;
}

impl ToValue for Value<'_> {
    fn to_value(&self) -> Value<'_> {
        *self
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u64> for Value<'_> {
    /// The databases have no unsigned numbers: one that is too great is the greatest they have.
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl ToValue for i64 {
    fn to_value(&self) -> Value<'_> {
        Value::from(*self)
    }
}

impl ToValue for u32 {
    fn to_value(&self) -> Value<'_> {
        Value::from(i64::from(*self))
    }
}

impl ToValue for u64 {
    fn to_value(&self) -> Value<'_> {
        Value::from(*self)
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    fn to_value(&self) -> Value<'_> {
        Value::Bytes(self)
    }
}

impl ToValue for Scope {
    /// A project's id, and for the organization the empty text: a key of a table holds no null.
    fn to_value(&self) -> Value<'_> {
        Value::Text(self.project().map_or("", ProjectId::as_str))
    }
}

macro_rules! stored_as_text {
    ($($name:ty),* $(,)?) => {
        $(impl ToValue for $name {
            fn to_value(&self) -> Value<'_> {
                Value::Text(self.as_str())
            }
        })*
    };
}

stored_as_text!(
    ApiKeyId,
    AssertedCode,
    AssertionId,
    AuditLogId,
    CertificateId,
    CrlId,
    CrlMissing,
    DenialId,
    FederationRuleId,
    Enforcement,
    Expectation,
    GatewayId,
    KeyKind,
    OrganizationId,
    ProjectId,
    ReceiptKeyId,
    RotationId,
    ServiceAccountId,
    TokenKeyId,
    ServiceAccountRole,
    WebhookDeliveryId,
    WebhookDeliveryStatus,
    WebhookId,
    WorkloadIdentityProviderId,
);

macro_rules! stored_as_bytes {
    ($($name:ty),* $(,)?) => {
        $(impl ToValue for $name {
            fn to_value(&self) -> Value<'_> {
                Value::Bytes(self.as_bytes())
            }
        })*
    };
}

stored_as_bytes!(ChainDigest, KeyDigest, Sha256);

impl Value<'_> {
    /// The type to declare where none is inferred.
    pub(super) const fn postgres_type(self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
        }
    }

    /// What it is, for an error about it: the value itself may be a secret.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Int(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) if *ty == Type::INT8 => value.to_sql(ty, out),
            Self::Text(value) if *ty == Type::TEXT => value.to_sql(ty, out),
            Self::Bytes(value) if *ty == Type::BYTEA => value.to_sql(ty, out),
            _ => Err(format!("the statement wants {ty} and is given {}", self.kind()).into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        // Nothing has no type until the statement gives it one.
        matches!(*ty, Type::INT8 | Type::TEXT | Type::BYTEA | Type::UNKNOWN)
    }

    to_sql_checked!();
}

impl<'a> TryFrom<ValueRef<'a>> for Value<'a> {
    type Error = String;

    fn try_from(value: ValueRef<'a>) -> Result<Self, String> {
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Int(value),
            ValueRef::Text(text) => {
                Self::Text(str::from_utf8(text).map_err(|error| error.to_string())?)
            }
            ValueRef::Blob(bytes) => Self::Bytes(bytes),
            ValueRef::Real(_) => return Err("it is a fraction".to_owned()),
        })
    }
}

impl<'a> FromSql<'a> for Value<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        match *ty {
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::TEXT => FromSql::from_sql(ty, raw).map(Self::Text),
            Type::BYTEA => FromSql::from_sql(ty, raw).map(Self::Bytes),
            _ => Err(format!("no column has the type {ty}").into()),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        <Self as ToSql>::accepts(ty)
    }
}
