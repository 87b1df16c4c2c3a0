//! The body of a client's request.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::RecvStream;
use http::{
    HeaderMap, Request, StatusCode,
    header::{CONTENT_LENGTH, EXPECT},
};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{error::BodyError, interim::Interims};

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
    stream: RecvStream,
    /// How many bytes are to come, if that is known.
    left: Option<u64>,
    /// The client waits for a 100 before it sends anything.
    awaits_continue: bool,
    /// All data has come, and only trailers may follow.
    data_ended: bool,
    interims: Arc<Interims>,
}

impl Http2Body {
    /// The body of a request with these headers.
    pub(crate) fn new(stream: RecvStream, headers: &HeaderMap, interims: &Arc<Interims>) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        let expect = headers.get(EXPECT);
        Self {
            left: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            awaits_continue: expect
                .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
                && !stream.is_end_stream(),
            data_ended: false,
            stream,
            interims: Arc::clone(interims),
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.data_ended {
            let polled = self.stream.poll_data(context);
            // A client that did not wait need not be told.
            if std::mem::take(&mut self.awaits_continue) && polled.is_pending() {
                self.interims.push(StatusCode::CONTINUE, HeaderMap::new());
            }
            match ready!(polled) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(self.data(bytes)))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(context)).transpose();
        Poll::Ready(trailers.map(|trailers| trailers.map(Frame::trailers)))
    }

    /// Takes bytes, and lets the client send as many more.
    fn data(&mut self, bytes: Bytes) -> Frame<Bytes> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.map(|left| left.saturating_sub(count));
        // It fails only for more than was received.
        let _ = self.stream.flow_control().release_capacity(bytes.len());
        Frame::data(bytes)
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
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => match body.left {
                _ if body.stream.is_end_stream() => SizeHint::with_exact(0),
                Some(left) => SizeHint::with_exact(left),
                None => SizeHint::default(),
            },
        }
    }
}
