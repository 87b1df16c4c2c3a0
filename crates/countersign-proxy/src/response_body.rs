//! A response's body on its way to the client: frame by frame, each once the one before is with the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::{
    connections::Lease, error::BodyError, exchange::Exchange, stall::Stall,
    stream_body::StreamBody, traffic::bytes_at_once,
};
use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

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

    /// The body of an upstream's response, to a client that speaks this version. It ends when nothing
    /// moves for as long as `idle_timeout`, if there is one.
    pub(crate) fn upstream(
        body: Received,
        exchange: Arc<E>,
        lease: Lease<E>,
        (version, idle_timeout): (Version, Option<Duration>),
    ) -> Self {
        let to_http1 = version != Version::HTTP_2;
        if to_http1 {
            exchange.client().stream(true);
        }
        Self::Upstream(Box::new(UpstreamBody {
            to_http1,
            chunked: version == Version::HTTP_11 && body.size_hint().exact().is_none(),
            inner: body,
            exchange,
            lease: Some(lease),
            ended: false,
            failed: None,
            held: Bytes::new(),
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
    /// Whether the client's connection is of HTTP/1.1, and hyper asks for what is sent on it.
    to_http1: bool,
    /// Whether it is chunked there, so that trailers can follow it.
    chunked: bool,
    lease: Option<Lease<E>>,
    /// Whether nothing more comes. A chunked body shows that only with its last frame.
    ended: bool,
    /// Why it breaks off, once what came before is on its way.
    failed: Option<BodyError>,
    /// A piece that is held until the next one is read.
    held: Bytes,
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
        if self.failed.is_some() && self.is_blocked() {
            return Poll::Pending;
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = if self.must_wait() {
            Poll::Pending
        } else {
            self.inner.poll_frame(context)
        };
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
        match frame {
            Some(Ok(frame)) if self.to_http1 && frame.is_trailers() => {
                if let Ok(trailers) = frame.into_trailers()
                    && self.chunked
                {
                    let client = self.exchange.client();
                    client.trailers().follow(trailers, |_| false);
                }
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    progress.add_sent(piece.len());
                    self.hand_over(piece);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                // An error ends the stream, or the connection, with all that was not written yet: the head
                // too, and its client could not tell that there was a response.
                progress.fail_by_upstream();
                self.failed = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    /// Whether an HTTP/1.1 client must first take what it was sent. The body is asked again when it has.
    fn is_blocked(&self) -> bool {
        self.to_http1 && self.exchange.client().must_body_wait()
    }

    /// Whether nothing more may be read: it would be kept here until the client takes it.
    fn must_wait(&self) -> bool {
        if self.is_blocked() {
            return true;
        }
        if let Some(upstream) = self.lease.as_ref().and_then(Lease::traffic) {
            upstream.read_at_once(bytes_at_once(self.to_http1, self.exchange.client()));
            upstream.resume();
        }
        false
    }

    /// Leaves the rest with the upstream until this piece is with the client: hyper would read ahead.
    fn hand_over(&mut self, piece: &Bytes) {
        if !self.to_http1 {
            return;
        }
        self.exchange.client().hand_over();
        if let Some(upstream) = self.lease.as_ref().and_then(Lease::traffic) {
            upstream.pause();
            // hyper reads into more room each time that all of it was filled. Where it can, it has the present room
            // grow by that, and then keeps up to twice as much as it uses: not so while the piece is there.
            self.held = if upstream.is_longest(piece.len()) {
                piece.clone()
            } else {
                Bytes::new()
            };
        }
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
        if self.to_http1 {
            self.exchange.client().stream(false);
        }
        let Some(lease) = self.lease.take() else {
            return;
        };
        if let Some(upstream) = lease.traffic() {
            upstream.resume();
        }
        if self.ended || self.inner.is_end_stream() {
            lease.give_back(self.exchange.progress().end());
        }
    }
}
