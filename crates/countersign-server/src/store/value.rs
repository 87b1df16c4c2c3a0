//! What goes into a statement and what comes out of it, alike for both databases.

use std::{error::Error, str::FromStr};

use bytes::BytesMut;
use countersign_types::{UnixSeconds, digest::Sha256};
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::{StoreError, postgres, sqlite};

/// A parameter: the `$n` of a statement is the `n`th, from 1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// A moment, a revision or another number that the API shows without a sign. One beyond what
    /// the databases hold is the greatest that they do.
    pub(super) fn moment(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn text(value: &'a (impl AsRef<str> + ?Sized)) -> Self {
        Self::Text(value.as_ref())
    }

    pub(super) fn optional_text(value: Option<&'a str>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }

    /// The type to declare where none is inferred.
    pub(super) const fn postgres_type(self) -> Type {
        match self {
            Self::Null => Type::UNKNOWN,
            Self::Int(_) => Type::INT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
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
            _ => Err(format!("the statement wants {ty} where it is given another type").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

/// One row, its columns counted from 0.
pub(super) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    pub(super) fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(sqlite::unreadable),
            Self::Postgres(row) => row.try_get(column).map_err(postgres::unreadable),
        }
    }

    /// A moment, a revision, or another number without a sign.
    pub(super) fn moment(&self, column: usize) -> Result<UnixSeconds, StoreError> {
        let value = self.int(column)?;
        u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("a moment of {value}")))
    }

    pub(super) fn optional_moment(&self, column: usize) -> Result<Option<UnixSeconds>, StoreError> {
        let value: Option<i64> = match self {
            Self::Sqlite(row) => row.get(column).map_err(sqlite::unreadable)?,
            Self::Postgres(row) => row.try_get(column).map_err(postgres::unreadable)?,
        };
        value
            .map(|value| {
                u64::try_from(value)
                    .map_err(|_| StoreError::Corrupt(format!("a moment of {value}")))
            })
            .transpose()
    }

    pub(super) fn optional_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self {
            Self::Sqlite(row) => row
                .get_ref(column)
                .map_err(sqlite::unreadable)?
                .as_str_or_null()
                .map_err(|error| StoreError::Corrupt(error.to_string())),
            Self::Postgres(row) => row.try_get(column).map_err(postgres::unreadable),
        }
    }

    pub(super) fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.optional_text(column)?
            .ok_or_else(|| StoreError::Corrupt(format!("nothing in column {column}")))
    }

    pub(super) fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        match self {
            Self::Sqlite(row) => row
                .get_ref(column)
                .map_err(sqlite::unreadable)?
                .as_blob()
                .map_err(|error| StoreError::Corrupt(error.to_string())),
            Self::Postgres(row) => row.try_get(column).map_err(postgres::unreadable),
        }
    }

    pub(super) fn sha256(&self, column: usize) -> Result<Sha256, StoreError> {
        let bytes = self.bytes(column)?;
        Sha256::try_from(bytes)
            .map_err(|_| StoreError::Corrupt("a digest of another length".to_owned()))
    }

    pub(super) fn optional_bytes(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self {
            Self::Sqlite(row) => row
                .get_ref(column)
                .map_err(sqlite::unreadable)?
                .as_blob_or_null()
                .map_err(|error| StoreError::Corrupt(error.to_string())),
            Self::Postgres(row) => row.try_get(column).map_err(postgres::unreadable),
        }
    }

    /// An id, or another word that has a set form.
    pub(super) fn parse<T: FromStr>(&self, column: usize) -> Result<T, StoreError> {
        parse(self.text(column)?)
    }

    pub(super) fn optional_parse<T: FromStr>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StoreError> {
        self.optional_text(column)?.map(parse).transpose()
    }

    /// An id where there is one; an empty text is none.
    pub(super) fn parse_unless_empty<T: FromStr>(
        &self,
        column: usize,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text(column)?;
        (!text.is_empty()).then(|| parse(text)).transpose()
    }
}

fn parse<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| {
        StoreError::Corrupt(format!(
            "`{}` is not what belongs there",
            text.escape_debug()
        ))
    })
}
