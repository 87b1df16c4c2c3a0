//! One thing that `doctor` looks at, and how it came out.

use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::{failure::Failure, output::printable};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) status: Status,
    check: &'static str,
    detail: String,
    hint: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Status::Ok,
            check,
            detail: detail.into(),
            hint: None,
        }
    }

    pub(super) fn warn(check: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self {
            status: Status::Warn,
            hint: Some(hint.to_owned()),
            ..Self::ok(check, detail)
        }
    }

    pub(super) fn fail(check: &'static str, detail: impl Into<String>, hint: &str) -> Self {
        Self {
            status: Status::Fail,
            ..Self::warn(check, detail, hint)
        }
    }

    pub(super) fn failed(check: &'static str, failure: &Failure) -> Self {
        Self {
            status: Status::Fail,
            hint: failure.advice().map(str::to_owned),
            ..Self::ok(check, failure.message())
        }
    }

    pub(super) fn line(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok  ",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        let mut line = format!("{status}  {}: {}\n", self.check, printable(&self.detail));
        if let Some(hint) = &self.hint {
            line += &format!("      hint: {}\n", printable(hint));
        }
        line
    }
}
