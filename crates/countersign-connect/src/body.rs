//! The body of an answer on its way to the tool. Of an error that may be a refusal, the code is read as
//! it passes.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use countersign_proxy::{BodyError, ResponseBody};
use countersign_types::error::ErrorResponse;
use http::{
    Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body::{Body, Frame, SizeHint};

use crate::carried::Carried;

/// The most of an error that is read.
const MOST: usize = 16 * 1024;

/// A body, and what was read of it.
pub(crate) struct NotedBody {
    inner: ResponseBody<Carried>,
    noted: Option<Box<Noted>>,
}

struct Noted {
    carried: Arc<Carried>,
    begin: Vec<u8>,
}

impl NotedBody {
    /// A body of the forwarder's own.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self {
            inner: ResponseBody::own(bytes),
            noted: None,
        }
    }

    /// The answer of a server, whose code is noted if it is an error.
    pub(crate) fn of(
        response: Response<ResponseBody<Carried>>,
        carried: &Arc<Carried>,
    ) -> Response<Self> {
        let noted = may_refuse(&response).then(|| {
            Box::new(Noted {
                carried: Arc::clone(carried),
                begin: Vec::new(),
            })
        });
        response.map(|inner| Self { inner, noted })
    }
}

/// Whether an answer may be a refusal whose code can be read.
fn may_refuse<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let status = response.status();
    json && !headers.contains_key(CONTENT_ENCODING)
        && (status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE)
}

impl Body for NotedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(context));
        if let (Some(noted), Some(Ok(frame))) = (&mut this.noted, &frame)
            && let Some(data) = frame.data_ref()
            && noted.begin.len() + data.len() <= MOST
        {
            noted.begin.extend_from_slice(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for NotedBody {
    /// Before the rest goes, which says how the request went.
    fn drop(&mut self) {
        let Some(noted) = self.noted.take() else {
            return;
        };
        if let Ok(error) = serde_json::from_slice::<ErrorResponse>(&noted.begin) {
            noted.carried.record().code = error.error.code;
        }
    }
}
