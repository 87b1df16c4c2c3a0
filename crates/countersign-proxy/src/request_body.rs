//! A request's body on its way to the upstream: frame by frame, nothing kept.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{discard::leave_body, error::BodyError, exchange::Exchange, headers::remove_all};

/// A request's body on its way to the upstream, without reserved trailers. It may go on when the
/// response has ended, and is cut like it.
#[derive(Debug)]
pub struct RequestBody<E: Exchange>(Option<Under<E>>);

/// A body, unless nothing follows the request's head.
#[derive(Debug)]
struct Under<E> {
    inner: Incoming,
    version: Version,
    exchange: Arc<E>,
    cut: bool,
}

impl<E: Exchange> RequestBody<E> {
    pub(crate) fn new(inner: Incoming, version: Version, exchange: &Arc<E>) -> Self {
        Self((!inner.is_end_stream()).then(|| Under {
            inner,
            version,
            exchange: Arc::clone(exchange),
            cut: false,
        }))
    }
}

impl<E: Exchange> Under<E> {
    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Err(cut) = ready!(self.exchange.poll_upload(context)) {
            self.cut = true;
            return Poll::Ready(Some(Err(cut.into())));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let progress = self.exchange.progress();
        progress.wait_for_client(polled.is_pending());
        polled.map(|frame| {
            let mut frame = match frame? {
                Ok(frame) => frame,
                Err(error) => {
                    progress.fail_by_client();
                    return Some(Err(error.into()));
                }
            };
            progress.add_received(frame.data_ref().map_or(0, Bytes::len));
            if let Some(trailers) = frame.trailers_mut() {
                remove_all(trailers, E::is_reserved);
            }
            Some(Ok(frame))
        })
    }
}

impl<E: Exchange> Body for RequestBody<E> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|body| body.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.as_ref();
        body.map_or(SizeHint::with_exact(0), |body| body.inner.size_hint())
    }
}

impl<E: Exchange> Drop for RequestBody<E> {
    /// The upstream wants no more of it: what it answered must reach the client all the same.
    fn drop(&mut self) {
        if let Some(body) = self.0.take()
            && !body.cut
        {
            leave_body(body.inner, body.version, body.exchange.client());
        }
    }
}
