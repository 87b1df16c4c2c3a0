//! What an operation answers when it succeeds.

use std::marker::PhantomData;

use bytes::Bytes;
use countersign_types::{history::HistoryPoint, page::Page};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    error::ApiError,
    schemas::{SchemaOf, Schemas},
};
use crate::store::{Change, StoreError, UnjudgedChange, WriteTx};

/// A success as it is sent. The status is always 200.
pub(super) struct Reply {
    pub(super) body: Bytes,
    /// What a write made, for `countersign-revision` and `countersign-token`.
    pub(super) change: Option<HistoryPoint>,
}

pub(super) type Answered = Result<Reply, ApiError>;

/// What a handler answers: one object.
pub(super) type Answer<T> = Result<Json<T>, ApiError>;
/// What a handler answers: a page of a list.
pub(super) type PageAnswer<T> = Result<JsonPage<T>, ApiError>;

/// A success whose type the document describes.
pub(super) trait Success: Send + 'static {
    /// How the document describes it.
    const SCHEMA: SchemaOf;

    fn into_reply(self) -> Reply;
}

/// An object, written as JSON.
pub(super) struct Json<T> {
    reply: Reply,
    of: PhantomData<fn() -> T>,
}

/// A page of objects, written as JSON.
pub(super) struct JsonPage<T>(Json<T>);

impl<T: ToSchema + 'static> Success for Json<T> {
    const SCHEMA: SchemaOf = Schemas::of::<T>;

    fn into_reply(self) -> Reply {
        self.reply
    }
}

impl<T: ToSchema + 'static> Success for JsonPage<T> {
    const SCHEMA: SchemaOf = Schemas::page_of::<T>;

    fn into_reply(self) -> Reply {
        self.0.reply
    }
}

/// Answers with an object that was read.
pub(super) fn read<T: Serialize>(value: &T) -> Answer<T> {
    Ok(json(write(value)?, None))
}

/// Answers with a page of a list.
pub(super) fn page<T: Serialize>(page: &Page<T>) -> PageAnswer<T> {
    Ok(JsonPage(json(write(page)?, None)))
}

/// Makes a change durable together with its audit events, and answers with what it made.
pub(super) async fn commit<T: Serialize>(tx: WriteTx, change: Change<T>) -> Answer<T> {
    // Written before the commit: a change whose answer cannot be written is not made.
    let body = write(&change.answer)?;
    let made = tx.commit(change.events).await?;
    Ok(json(body, Some(made)))
}

/// What became of a change.
pub(super) enum Committed<T> {
    /// It was made.
    Done(Json<T>),
    /// It must be judged by the organization's assertions first.
    Unjudged(Box<UnjudgedChange>),
}

/// As [`commit`], for a change of trust, which may have to be judged first.
pub(super) async fn try_commit<T: Serialize>(
    tx: WriteTx,
    change: Change<T>,
) -> Result<Committed<T>, ApiError> {
    let body = write(&change.answer)?;
    match tx.commit(change.events).await {
        Ok(made) => Ok(Committed::Done(json(body, Some(made)))),
        Err(StoreError::Unjudged(change)) => Ok(Committed::Unjudged(change)),
        Err(error) => Err(error.into()),
    }
}

/// Answers with JSON that is already written.
pub(super) fn ready_made<T>(body: Bytes) -> Json<T> {
    json(body, None)
}

fn json<T>(body: Bytes, change: Option<HistoryPoint>) -> Json<T> {
    Json {
        reply: Reply { body, change },
        of: PhantomData,
    }
}

fn write(value: &impl Serialize) -> Result<Bytes, ApiError> {
    let body = serde_json::to_vec(value).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(Bytes::from(body))
}
