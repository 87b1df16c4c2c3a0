//! A refusal: what the caller gets, and separately what only the log gets.

use std::borrow::Cow;

use countersign_types::{
    api_key::Permission,
    error::{ErrorCode, ErrorResponse},
};

/// What a caller is told whose change was overtaken each time.
pub(super) const CHANGED_EACH_TIME: &str =
    "The organization changed each time that this was tried. Try again in a moment.";

/// Why a request was refused. `message` and `param` go to the caller, `cause` to the log only.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
    pub(super) param: Option<Cow<'static, str>>,
    pub(super) cause: Option<Cow<'static, str>>,
}

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            cause: None,
        }
    }

    /// Names the parameter at fault.
    pub(super) fn at(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Puts the parameter at fault into what it is a part of.
    pub(super) fn within(mut self, whole: &str) -> Self {
        self.param = Some(match self.param {
            Some(param) => format!("{whole}.{param}").into(),
            None => whole.to_owned().into(),
        });
        self
    }

    /// Adds what the caller can do.
    pub(super) fn advise(mut self, advice: &str) -> Self {
        self.message = format!("{} {advice}", self.message).into();
        self
    }

    /// Adds the cause, which only the log shows.
    pub(super) fn because(mut self, cause: impl Into<Cow<'static, str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(super) fn value(
        param: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorCode::InvalidValue, message).at(param)
    }

    pub(super) fn missing(param: &'static str) -> Self {
        let message = format!("The required property `{param}` is missing. Send it in the body.");
        Self::new(ErrorCode::MissingRequiredParameter, message).at(param)
    }

    /// The one answer to an unknown, a malformed and another organization's id: the caller does not
    /// learn which it was.
    pub(super) fn no_such(noun: &'static str) -> Self {
        let message = format!(
            "No such {noun} in this organization. Check the id, and that the key belongs to the \
             organization that has it."
        );
        Self::new(ErrorCode::NotFound, message)
    }

    /// The one answer to a cursor that is unknown, malformed or another organization's.
    pub(super) fn unknown_cursor(name: &'static str) -> Self {
        let message = format!(
            "`{name}` is not the id of an entry of this list. Take it from `first_id` or `last_id` \
             of a page, or leave it out to start at the beginning."
        );
        Self::value(name, message)
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is nothing at this path. `GET /openapi.json` lists all paths; none has a trailing \
             slash.",
        )
    }

    pub(super) fn missing_permission(permission: Permission) -> Self {
        let message = format!(
            "This key lacks the permission `{0}`. Use a key that has it, or make one with \
             `{0}` among its `scopes`.",
            permission.as_str()
        );
        Self::new(ErrorCode::MissingScope, message)
    }

    pub(super) fn invalid_key(message: &'static str) -> Self {
        Self::new(ErrorCode::InvalidApiKey, message)
    }

    pub(super) fn internal(cause: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            ErrorCode::ServerError,
            "Internal error. Try again; if it happens again, give your operator the request id.",
        )
        .because(cause)
    }

    pub(super) fn storage_unavailable(
        message: &'static str,
        cause: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(ErrorCode::StorageUnavailable, message).because(cause)
    }

    pub(super) fn envelope(&self) -> ErrorResponse {
        let param = self.param.as_deref().map(str::to_owned);
        ErrorResponse::new(self.code, self.message.as_ref(), param)
    }
}
