//! A request's body on its way to the upstream, frame by frame. Nothing is kept of it but a small
//! beginning, where it may have to be sent again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use crate::{
    client_body::ClientBody,
    discard::leave_body,
    error::BodyError,
    exchange::Exchange,
    headers::{is_no_trailer, remove_all},
    interim::Interims,
    stall::Stall,
    traffic::{Traffic, bytes_at_once},
};

/// The most bytes of a body that are kept to be sent again. What is kept is not copied, unless it is
/// small.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// The most pieces of a body that are kept.
const MAX_KEPT_PIECES: usize = 16;

/// A smaller piece is copied: otherwise it would keep the whole buffer that it was read into.
const MIN_SHARED_BYTES: usize = 4 * 1024;

/// A request's body on its way to the upstream, without reserved trailers. It may go on when the
/// response has ended, and is cut like it. A client that sends nothing of it for too long ends it.
#[derive(Debug)]
pub struct RequestBody<E: Exchange> {
    /// None if nothing follows the request's head. Boxed: most requests have none, and each is copied
    /// on its way.
    under: Option<Box<Under<E>>>,
    /// Where interim responses go, to a client that can take them.
    interims: Option<Arc<Interims>>,
    /// How much of the response is read at once at first.
    at_once: usize,
}

#[derive(Debug)]
struct Under<E: Exchange> {
    inner: ClientBody,
    version: Version,
    exchange: Arc<E>,
    cut: bool,
    stall: Stall,
    kept: Kept,
    /// The HTTP/1.1 connection that it is sent on.
    on: Option<Arc<Traffic>>,
    /// Whether it is chunked there: otherwise no trailers can follow it.
    chunked: bool,
    /// Where the body goes when whoever sends it lets go of it.
    back: Option<oneshot::Sender<RequestBody<E>>>,
}

/// The beginning of a body, as long as it may be sent again.
#[derive(Debug, Default)]
struct Kept {
    pieces: Vec<Bytes>,
    bytes: usize,
    /// How many of the pieces were sent by the present sending.
    sent: usize,
    /// Something was sent that was not kept.
    incomplete: bool,
}

/// A body that was lent to whoever sends it, and comes back if the sending fails.
#[derive(Debug)]
pub(crate) enum Returned<E: Exchange> {
    /// There is none, and so much of the response is read at once.
    Empty(usize),
    Lent(oneshot::Receiver<RequestBody<E>>),
}

impl<E: Exchange> Returned<E> {
    /// The body, from its beginning; none if that is not possible.
    pub(crate) async fn take(self) -> Option<RequestBody<E>> {
        match self {
            Self::Empty(at_once) => Some(RequestBody::empty(None, at_once)),
            Self::Lent(receiver) => {
                let mut body = receiver.await.ok()?;
                body.under.as_mut()?.rewind().then_some(body)
            }
        }
    }
}

impl Kept {
    /// The next piece that is to be sent again.
    fn next(&mut self) -> Option<Bytes> {
        let piece = self.pieces.get(self.sent)?.clone();
        self.sent += 1;
        Some(piece)
    }

    /// Bytes that are yet to be sent again.
    fn left(&self) -> usize {
        let left = self.pieces.iter().skip(self.sent);
        left.map(Bytes::len).sum()
    }

    fn keep(&mut self, piece: &Bytes) {
        let bytes = self.bytes + piece.len();
        if self.incomplete || bytes > MAX_KEPT_BYTES || self.pieces.len() == MAX_KEPT_PIECES {
            return self.forget();
        }
        let small = piece.len() < MIN_SHARED_BYTES;
        self.pieces.push(if small {
            Bytes::copy_from_slice(piece)
        } else {
            piece.clone()
        });
        self.bytes = bytes;
        self.sent = self.pieces.len();
    }

    fn forget(&mut self) {
        *self = Self {
            incomplete: true,
            ..Self::default()
        };
    }
}

impl<E: Exchange> RequestBody<E> {
    /// A body of which the client may send nothing for as long as `timeout`.
    pub(crate) fn new(
        inner: ClientBody,
        version: Version,
        exchange: &Arc<E>,
        timeout: Duration,
    ) -> Self {
        let interims = match version {
            Version::HTTP_2 => inner.interims(),
            Version::HTTP_11 => Some(exchange.client().interims()),
            _ => None,
        };
        Self {
            interims: interims.cloned(),
            at_once: bytes_at_once(version != Version::HTTP_2, exchange.client()),
            under: (!inner.is_end_stream()).then(|| {
                Box::new(Under {
                    inner,
                    version,
                    exchange: Arc::clone(exchange),
                    cut: false,
                    stall: Stall::new(timeout),
                    kept: Kept::default(),
                    on: None,
                    chunked: false,
                    back: None,
                })
            }),
        }
    }

    pub(crate) const fn empty(interims: Option<Arc<Interims>>, at_once: usize) -> Self {
        Self {
            under: None,
            interims,
            at_once,
        }
    }

    /// Where interim responses to the request go.
    pub(crate) const fn interims(&self) -> Option<&Arc<Interims>> {
        self.interims.as_ref()
    }

    /// Begins the request on an HTTP/1.1 connection; whether its head is recorded there.
    pub(crate) fn begin_on(&self, traffic: &Traffic, records: bool) {
        traffic.begin(records, self.interims.as_ref(), self.at_once);
    }

    /// Has it sent on this HTTP/1.1 connection.
    pub(crate) fn send_on(&mut self, traffic: &Arc<Traffic>) {
        if let Some(body) = &mut self.under {
            body.on = Some(Arc::clone(traffic));
            body.chunked = body.inner.size_hint().exact().is_none();
        }
    }

    /// Lends the body to whoever sends it: its beginning is kept until the other end is dropped.
    pub(crate) fn lend(&mut self) -> Returned<E> {
        let Some(body) = &mut self.under else {
            return Returned::Empty(self.at_once);
        };
        let (back, returned) = oneshot::channel();
        body.back = Some(back);
        Returned::Lent(returned)
    }
}

impl<E: Exchange> Under<E> {
    /// Goes back to the beginning, if all that was sent is kept.
    fn rewind(&mut self) -> bool {
        self.kept.sent = 0;
        !self.kept.incomplete
    }

    /// Keeps what is sent while it may have to be sent again.
    fn keep(&mut self, frame: &Frame<Bytes>) {
        let wanted = self.back.as_ref().is_some_and(|back| !back.is_closed());
        match frame.data_ref() {
            Some(piece) if wanted => self.kept.keep(piece),
            _ => self.kept.forget(),
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Err(cut) = ready!(self.exchange.poll_upload(context)) {
            self.cut = true;
            return Poll::Ready(Some(Err(cut.into())));
        }
        if let Some(piece) = self.kept.next() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let progress = self.exchange.progress();
        if self.on.as_ref().is_some_and(|on| on.is_blocked()) {
            // hyper asks again once the upstream has taken what was sent before: nothing more waits
            // for it here.
            progress.wait_for_client(false);
            self.stall.rest();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        progress.wait_for_client(polled.is_pending());
        let Ok(frame) = ready!(self.stall.watch(context, polled)) else {
            progress.stall_by_client();
            self.kept.forget();
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        };
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let mut frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                if error.is_of_gone_peer() {
                    progress.lose_client();
                } else {
                    progress.fail_by_client();
                }
                self.kept.forget();
                return Poll::Ready(Some(Err(error)));
            }
        };
        progress.add_received(frame.data_ref().map_or(0, Bytes::len));
        self.keep(&frame);
        if let Some(trailers) = frame.trailers_mut() {
            if let Some(on) = &self.on {
                if self.chunked {
                    on.trailers()
                        .follow(std::mem::take(trailers), E::is_reserved);
                }
                return Poll::Ready(None);
            }
            remove_all(trailers, |name| is_no_trailer(name) || E::is_reserved(name));
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl<E: Exchange> Body for RequestBody<E> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.under {
            None => Poll::Ready(None),
            Some(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.under
            .as_ref()
            .is_none_or(|body| body.kept.left() == 0 && body.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let Some(body) = &self.under else {
            return SizeHint::with_exact(0);
        };
        let kept = u64::try_from(body.kept.left()).unwrap_or(u64::MAX);
        let mut hint = body.inner.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint.set_lower(hint.lower().saturating_add(kept));
        hint
    }
}

impl<E: Exchange> Drop for RequestBody<E> {
    /// The upstream wants no more of it. Either it is to be sent again, or the upstream has
    /// answered: then the answer must reach the client all the same.
    fn drop(&mut self) {
        let Some(mut body) = self.under.take() else {
            return;
        };
        if body.cut {
            return;
        }
        match body.back.take() {
            // What nobody waits for comes back from the channel, and is dropped here once more.
            Some(back) => {
                let whole = Self {
                    under: Some(body),
                    interims: self.interims.take(),
                    at_once: self.at_once,
                };
                drop(back.send(whole));
            }
            None => leave_body(body.inner, body.version, body.exchange.client()),
        }
    }
}
