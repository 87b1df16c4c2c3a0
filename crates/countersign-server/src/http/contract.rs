//! What an operation takes and answers, as the types in its handler's signature state it.

use super::schemas::SchemaOf;

/// The most bytes that a body may have where its type does not allow more: four times the largest
/// PEM, so that one that is too large still gets the answer about certificates.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;

/// Whether an operation takes a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Presence {
    /// None: a body is read and ignored.
    #[default]
    None,
    /// A JSON object, or nothing at all.
    Optional,
    /// A JSON object.
    Required,
}

/// What the extractors of a handler describe. Checks, reading and the OpenAPI document all use it.
pub(super) struct Contract {
    /// What the ids in the path name, in their order.
    pub(super) ids: Vec<&'static str>,
    pub(super) query: Vec<utoipa::openapi::path::Parameter>,
    pub(super) presence: Presence,
    pub(super) body: Option<SchemaOf>,
    pub(super) body_bytes: usize,
    pub(super) answer: SchemaOf,
}

impl Contract {
    /// The contract of a handler that takes nothing.
    pub(super) fn new(answer: SchemaOf) -> Self {
        Self {
            ids: Vec::new(),
            query: Vec::new(),
            presence: Presence::None,
            body: None,
            body_bytes: MAX_BODY_BYTES,
            answer,
        }
    }
}
