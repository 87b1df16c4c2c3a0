//! A response's body on its way to the client: frame by frame, nothing kept.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    connections::Lease, error::BodyError, exchange::Exchange, stall::Stall, stream_body::StreamBody,
};

/// What goes back to the client.
#[derive(Debug)]
pub enum ResponseBody<E: Exchange> {
    /// A response of the proxy's own.
    Own(Full<Bytes>),
    /// The upstream's response.
    Upstream(Box<UpstreamBody<E>>),
}

impl<E: Exchange> ResponseBody<E> {
    /// The body of a response of the proxy's own.
    #[must_use]
    pub fn own(bytes: Bytes) -> Self {
        Self::Own(Full::new(bytes))
    }

    /// The body of an upstream's response, which ends when nothing moves for as long as
    /// `idle_timeout`, if there is one.
    pub(crate) fn upstream(
        body: Received,
        exchange: Arc<E>,
        lease: Lease<E>,
        idle_timeout: Option<Duration>,
    ) -> Self {
        Self::Upstream(Box::new(UpstreamBody {
            inner: body,
            exchange,
            lease: Some(lease),
            ended: false,
            idle: idle_timeout.map(Stall::new),
        }))
    }
}

/// What is received of an upstream's response.
#[derive(Debug)]
pub(crate) enum Received {
    Http1(Incoming),
    Http2(StreamBody),
}

impl Received {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Http1(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
            Self::Http2(body) => body.poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// The body of an upstream's response. It holds its exchange, so that it can be cut, and gives
/// the upstream connection back at its end.
#[derive(Debug)]
pub struct UpstreamBody<E: Exchange> {
    inner: Received,
    exchange: Arc<E>,
    lease: Option<Lease<E>>,
    /// Whether nothing more comes. A chunked body shows that only with its last frame.
    ended: bool,
    /// Ends it when nothing moves in either direction.
    idle: Option<Stall>,
}

impl<E: Exchange> UpstreamBody<E> {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Err(cut) = ready!(self.exchange.poll_response(context)) {
            return Poll::Ready(Some(Err(cut.into())));
        }
        let polled = self.inner.poll_frame(context);
        let progress = self.exchange.progress();
        let frame = match &mut self.idle {
            None => ready!(polled),
            Some(idle) => {
                let watched = idle.watch_with(context, polled, || progress.last_moved());
                let Ok(frame) = ready!(watched) else {
                    return Poll::Ready(Some(Err(BodyError::Idle)));
                };
                frame
            }
        };
        self.ended = frame
            .as_ref()
            .is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers));
        if let Some(Ok(frame)) = &frame {
            progress.add_sent(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }
}

impl<E: Exchange> Body for ResponseBody<E> {
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
            Self::Upstream(body) => body.poll_frame(context),
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

impl<E: Exchange> Drop for UpstreamBody<E> {
    /// Only a connection whose response was read to its end can serve again: on any other, the
    /// rest of this response would be taken for the beginning of the next.
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take()
            && (self.ended || self.inner.is_end_stream())
        {
            let progress = self.exchange.progress();
            // The last frame was the end, or little before it: that spares a look at the clock.
            let since = if progress.sent() > 0 {
                progress.last_moved()
            } else {
                Instant::now()
            };
            lease.give_back(since);
        }
    }
}
