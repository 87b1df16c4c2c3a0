//! A request's body on its way to the upstream: frame by frame, nothing kept.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::{error::BodyError, exchange::Exchange, headers::remove_all};

/// A request's body on its way to the upstream, without reserved trailers. It may go on when the
/// response has ended, and is cut like it.
#[derive(Debug)]
pub struct RequestBody<E> {
    inner: Incoming,
    /// None where nothing follows the request's head.
    exchange: Option<Arc<E>>,
}

impl<E> RequestBody<E> {
    pub(crate) fn new(inner: Incoming, exchange: &Arc<E>) -> Self {
        let exchange = (!inner.is_end_stream()).then(|| Arc::clone(exchange));
        Self { inner, exchange }
    }
}

impl<E: Exchange> Body for RequestBody<E> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(exchange) = &self.exchange
            && let Err(cut) = ready!(exchange.poll_upload(context))
        {
            return Poll::Ready(Some(Err(cut.into())));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|result| {
            let mut frame = result?;
            if let Some(trailers) = frame.trailers_mut() {
                remove_all(trailers, E::is_reserved);
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
