//! Columns that hold an object of the API in JSON: it is only ever read and written whole.

use serde::{Serialize, de::DeserializeOwned};

use super::{StoreError, row::Row};

/// An object as a column holds it.
pub(super) fn to_column(object: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(object).map_err(|error| StoreError::Internal(error.to_string()))
}

/// The object in the row's next column.
pub(super) fn from_column<T: DeserializeOwned>(row: &mut Row<'_>) -> Result<T, StoreError> {
    let text: String = row.next()?;
    serde_json::from_str(&text).map_err(|error| StoreError::Corrupt(error.to_string()))
}
