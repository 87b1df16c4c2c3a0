//! The body of a client's request.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, Request, StatusCode, header::EXPECT};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{error::BodyError, interim::Interims, stream_body::StreamBody};

/// The body of a client's request, in the version of HTTP that the client speaks.
#[derive(Debug)]
pub enum ClientBody {
    /// HTTP/1.1 or HTTP/1.0.
    Http1(Incoming),
    /// HTTP/2.
    Http2(Http2Body),
}

/// The body of a client's request over HTTP/2.
#[derive(Debug)]
pub struct Http2Body {
    body: StreamBody,
    /// The client waits for a 100 before it sends anything.
    awaits_continue: bool,
    interims: Arc<Interims>,
}

impl Http2Body {
    /// The body of a request with these headers.
    pub(crate) fn new(stream: RecvStream, headers: &HeaderMap, interims: &Arc<Interims>) -> Self {
        let expect = headers.get(EXPECT);
        Self {
            awaits_continue: expect
                .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
                && !stream.is_end_stream(),
            body: StreamBody::new(stream, headers),
            interims: Arc::clone(interims),
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let polled = self.body.poll_frame(context);
        // A client that did not wait need not be told.
        if std::mem::take(&mut self.awaits_continue) && polled.is_pending() {
            self.interims.push(StatusCode::CONTINUE, HeaderMap::new());
        }
        polled
    }
}

impl ClientBody {
    /// Lets the body be read without telling a client that waits for a 100 to send it.
    pub(crate) const fn without_continue(mut self) -> Self {
        if let Self::Http2(body) = &mut self {
            body.awaits_continue = false;
        }
        self
    }

    /// Where interim responses to its request go, if it is of HTTP/2.
    pub(crate) const fn interims(&self) -> Option<&Arc<Interims>> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(body) => Some(&body.interims),
        }
    }

    /// A request of HTTP/1.1.
    pub fn http1(request: Request<Incoming>) -> Request<Self> {
        request.map(Self::Http1)
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Http1(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Http2(body) => body.poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.body.size_hint(),
        }
    }
}
