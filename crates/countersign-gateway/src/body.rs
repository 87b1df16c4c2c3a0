//! Bodies on their way through: frame by frame, nothing kept. A response carries its stream's
//! registration with it, so that it can be cut, and gives its upstream connection back at its end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{headers, live::Stream, upstream::Lease};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// What let the request in no longer holds.
    #[error("trust in the client changed")]
    Cut,
    /// The other side failed.
    #[error(transparent)]
    Peer(#[from] hyper::Error),
}

/// A request's body on its way upstream. Its trailers claim no identity. It may go on when the
/// answer is at its end, and is cut like it.
#[derive(Debug)]
pub(crate) struct RequestBody {
    inner: Incoming,
    /// None where nothing follows the request's head.
    stream: Option<Arc<Stream>>,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, stream: &Arc<Stream>) -> Self {
        let stream = (!inner.is_end_stream()).then(|| Arc::clone(stream));
        Self { inner, stream }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let cut = |stream: &Arc<Stream>| stream.poll_upload_cut(context).is_ready();
        if self.stream.as_ref().is_some_and(cut) {
            return Poll::Ready(Some(Err(BodyError::Cut)));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|result| {
            let mut frame = result?;
            if let Some(trailers) = frame.trailers_mut() {
                headers::strip_identity(trailers);
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What goes back to the client.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// An answer of our own.
    Own(Full<Bytes>),
    /// The upstream's answer.
    Upstream(Box<UpstreamBody>),
}

/// The upstream's answer on its way to the client.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    pub(crate) inner: Incoming,
    pub(crate) stream: Arc<Stream>,
    pub(crate) lease: Option<Lease>,
    /// Whether nothing more comes. A chunked body tells so only by saying it.
    pub(crate) ended: bool,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Own(body) => Pin::new(body)
                .poll_frame(context)
                .map_err(|never| match never {}),
            Self::Upstream(body) => {
                if body.stream.poll_cut(context).is_ready() {
                    return Poll::Ready(Some(Err(BodyError::Cut)));
                }
                let frame = ready!(Pin::new(&mut body.inner).poll_frame(context));
                body.ended = frame
                    .as_ref()
                    .is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers));
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Upstream(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Upstream(body) => body.inner.size_hint(),
        }
    }
}

impl Drop for UpstreamBody {
    /// A connection whose response was read to its end serves again; another is closed.
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && (self.ended || self.inner.is_end_stream())
        {
            lease.give_back();
        }
    }
}
