//! Requests whose heads cannot be read as HTTP/1.1: no operation and no route sees them, and they
//! are answered, counted and logged like any other.

use bytes::Bytes;
use countersign_proxy::RefuseHead;
use countersign_types::error::ErrorCode;
use http::{Method, Response, StatusCode};

use super::{app::App, error::ApiError, record::Record, request_metrics::Meters};

/// The route that such requests are counted and logged under.
const ROUTE: &str = "unreadable";

/// Refuses such requests.
pub(super) struct UnreadableHeads {
    app: App,
    meters: Meters,
}

impl UnreadableHeads {
    pub(super) fn new(app: App) -> Self {
        Self {
            app,
            meters: Meters::new(ROUTE, &Method::GET),
        }
    }
}

impl RefuseHead for UnreadableHeads {
    fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        let _in_flight = self.meters.begin();
        let record = Record::begin(&self.app);
        let error = refusal(status).because(format!("the head cannot be read: {status}"));
        record.finish(ROUTE, None, &self.meters, Err(error))
    }
}

fn refusal(status: StatusCode) -> ApiError {
    if status == StatusCode::BAD_REQUEST {
        let message =
            "The request cannot be read as HTTP/1.1. Check its first line and its headers.";
        return ApiError::new(ErrorCode::BadRequest, message);
    }
    headers_too_large()
}

/// The refusal of a head that is larger than it may be.
pub(super) fn headers_too_large() -> ApiError {
    ApiError::new(
        ErrorCode::HeadersTooLarge,
        "The request's headers are too large or too many, or its target is too long. Send at most \
         100 headers, and less than 32 KiB in all.",
    )
}
