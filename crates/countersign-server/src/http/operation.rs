//! What one row of the router's table says: where an operation is, who may call it, what it takes
//! and answers, and the handler. Routing, checks, metrics and the OpenAPI document all read it.

use std::{future::Future, pin::Pin};

use countersign_types::{api_key::Permission, error::ErrorCode};
use http::Method;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    answer::Answer,
    body::MAX_BODY_BYTES,
    call::Call,
    caller::{Admin, Caller},
    error::ApiError,
    openapi::Schemas,
};

pub(super) type Answered = Result<Answer, ApiError>;
type Answering = Pin<Box<dyn Future<Output = Answered> + Send>>;
type Handler = Box<dyn Fn(Caller, Call) -> Answering + Send + Sync>;
type SchemaOf = fn(&mut Schemas) -> Value;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Anyone, without a key.
    Nothing,
    /// An admin key with this permission.
    Admin(Permission),
    /// A gateway key.
    Gateway,
    /// An admin key with this permission, or a gateway key.
    AdminOrGateway(Permission),
}

/// Whether an operation takes a body.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// None: what is sent is read and forgotten.
    NoBody,
    /// A JSON object, or nothing at all.
    OptionalBody(SchemaOf),
    /// A JSON object.
    Body(SchemaOf),
}

/// A parameter in a query, as the document describes it.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
}

/// One row of the table.
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) tag: &'static str,
    pub(super) needs: Needs,
    pub(super) query: Vec<Parameter>,
    pub(super) takes: Takes,
    pub(super) answers: SchemaOf,
    pub(super) codes: &'static [ErrorCode],
    pub(super) waits: bool,
    pub(super) body_bytes: usize,
    pub(super) handler: Handler,
}

impl Operation {
    /// The method that it answers to.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Its path, with `{names}` for what varies, `/v1` included.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Its `operationId`.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Who may call it.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// An operation for admin keys that have a permission.
    pub(super) fn admin<F, A>(
        method: Method,
        path: &'static str,
        id: &'static str,
        permission: Permission,
        handler: F,
    ) -> Self
    where
        F: Fn(Admin, Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        let handler: Handler = Box::new(move |caller, call| match caller {
            Caller::Admin(admin) => Box::pin(handler(admin, call)),
            Caller::Nobody | Caller::Gateway => Box::pin(std::future::ready(Err(wrong_caller()))),
        });
        Self {
            needs: Needs::Admin(permission),
            handler,
            ..Self::open(method, path, id, |_| async { Err(wrong_caller()) })
        }
    }

    /// An operation that asks for no organization.
    pub(super) fn open<F, A>(
        method: Method,
        path: &'static str,
        id: &'static str,
        handler: F,
    ) -> Self
    where
        F: Fn(Call) -> A + Send + Sync + 'static,
        A: Future<Output = Answered> + Send + 'static,
    {
        Self {
            method,
            path,
            id,
            summary: "",
            tag: "",
            needs: Needs::Nothing,
            query: Vec::new(),
            takes: Takes::NoBody,
            answers: |_| json!({ "type": "object" }),
            codes: &[],
            waits: false,
            body_bytes: MAX_BODY_BYTES,
            handler: Box::new(move |_, call| Box::pin(handler(call))),
        }
    }

    pub(super) fn summary(mut self, tag: &'static str, summary: &'static str) -> Self {
        self.tag = tag;
        self.summary = summary;
        self
    }

    /// Says who may call an open operation.
    pub(super) fn permit(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    pub(super) fn query(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.query.extend(parameters);
        self
    }

    pub(super) fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Takes::Body(|schemas| schemas.of::<T>());
        self
    }

    /// Its body may have so many bytes, more than usual.
    pub(super) fn up_to(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    pub(super) fn may_take<T: ToSchema>(mut self) -> Self {
        self.takes = Takes::OptionalBody(|schemas| schemas.of::<T>());
        self
    }

    pub(super) fn answers<T: ToSchema>(mut self) -> Self {
        self.answers = |schemas| schemas.of::<T>();
        self
    }

    pub(super) fn lists<T: ToSchema>(mut self) -> Self {
        self.answers = |schemas| schemas.page_of::<T>();
        self
    }

    /// The codes that are this operation's own; those that go with keys, ids, bodies and queries
    /// follow from the rest of the row.
    pub(super) fn refuses(mut self, codes: &'static [ErrorCode]) -> Self {
        self.codes = codes;
        self
    }

    /// It may hold the request open: the time limit of ordinary requests is not its own.
    pub(super) fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let segments = self.path.split('/');
        segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}

fn wrong_caller() -> ApiError {
    ApiError::broken("an operation for admin keys was reached without one")
}
