//! A success on its way out.

use bytes::Bytes;
use serde::Serialize;

use super::error::ApiError;
use crate::store::{Change, WriteTx};

/// The JSON of a success. The status is always 200.
pub(super) struct Answer {
    pub(super) body: Bytes,
    /// The revision that a write made, for `countersign-revision`.
    pub(super) revision: Option<u64>,
}

impl Answer {
    pub(super) fn read(value: &impl Serialize) -> Result<Self, ApiError> {
        let body =
            serde_json::to_vec(value).map_err(|error| ApiError::broken(error.to_string()))?;
        Ok(Self {
            body: Bytes::from(body),
            revision: None,
        })
    }

    /// Makes a change durable together with its audit events, and answers with what it made.
    pub(super) async fn commit<T: Serialize>(
        tx: WriteTx,
        change: Change<T>,
    ) -> Result<Self, ApiError> {
        let answer = Self::read(&change.answer)?;
        let revision = tx.commit(change.events).await?;
        Ok(Self {
            revision: Some(revision),
            ..answer
        })
    }

    /// JSON that is already written.
    pub(super) fn ready_made(body: Bytes) -> Self {
        Self {
            body,
            revision: None,
        }
    }
}
