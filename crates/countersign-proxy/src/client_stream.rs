//! The byte stream of a client's connection. It lingers when it is closed under an upload, notices
//! a client that is gone while its response is awaited or that takes nothing of it, refuses whole
//! what hyper refuses barely, and writes interim responses.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

use crate::{
    bare_refusal::{RefuseHead, status_of, written},
    client_state::ClientState,
    deadline::Deadline,
    discard::{MAX_BYTES, MAX_SILENCE, MAX_TIME},
    interim,
    over_socket::OverSocket,
    request_heads::RequestHeads,
    stall::Stall,
    trailers::Parts,
};

/// How an HTTP/2 connection begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// After how long without a request a connection is idle, and what serves it can be put away.
const IDLE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 1 });

/// How many bytes are discarded at once.
const DISCARD_AT_ONCE: usize = 16 * 1024;

/// The byte stream of a client's connection.
#[derive(Debug)]
pub struct ClientStream<S, R> {
    inner: S,
    refusals: R,
    /// What is left to write of a refusal, of an interim response, or of the end of a body. It is rare, and
    /// every idle connection would hold room for it: see the test on sizes.
    own: Option<Box<Bytes>>,
    /// Whether what is written next follows a whole message, and begins the response that is
    /// awaited.
    between: bool,
    heads: RequestHeads,
    head_timeout: Option<Box<HeadTimeout>>,
    stall: Stall,
    state: Arc<ClientState>,
    lingering: Option<Box<Lingering>>,
    /// What was read to see whether the client is still there.
    ahead: Option<u8>,
    /// The client has closed its side.
    ended: bool,
    /// Ends a response that pauses once the client has closed its side.
    pause: Option<Pin<Box<Sleep>>>,
}

/// How long a client may take to send a head, or nothing between requests. hyper's own timer is made
/// anew for each request.
#[derive(Debug)]
struct HeadTimeout {
    limit: Duration,
    /// When the present wait ends, if a head is waited for.
    end: Option<Instant>,
    timer: Deadline,
}

/// What is left to discard of a connection that was half closed.
#[derive(Debug)]
struct Lingering {
    end: Instant,
    silence: Pin<Box<Sleep>>,
    left: u64,
    buffer: [u8; DISCARD_AT_ONCE],
}

impl<S: OverSocket, R: RefuseHead + Unpin> ClientStream<S, R> {
    /// Wraps a stream, once its handshake is done.
    /// A client that takes nothing for as long as `send_timeout` is gone.
    pub const fn new(
        inner: S,
        state: Arc<ClientState>,
        refusals: R,
        send_timeout: Duration,
    ) -> Self {
        Self {
            inner,
            refusals,
            own: None,
            between: false,
            heads: RequestHeads::new(),
            head_timeout: None,
            stall: Stall::new(send_timeout),
            state,
            lingering: None,
            ahead: None,
            ended: false,
            pause: None,
        }
    }

    /// What the stream must know of its requests.
    pub(crate) fn state(&self) -> Arc<ClientState> {
        Arc::clone(&self.state)
    }

    /// Has the stream end when a client takes longer than this for a head, or sends nothing between
    /// requests for so long. The first time counts from when it began to wait.
    #[must_use]
    pub fn with_head_timeout(mut self, limit: Duration, began: std::time::Instant) -> Self {
        self.head_timeout = Some(Box::new(HeadTimeout {
            limit,
            end: Some(Instant::from(began) + limit),
            timer: Deadline::default(),
        }));
        self
    }

    /// Takes a bare refusal of hyper's, and writes a whole one instead.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        let Some(mut status) = status_of(bytes) else {
            return false;
        };
        if self.heads.has_uncountable_length() {
            // hyper calls it a head that is too large.
            status = StatusCode::BAD_REQUEST;
        }
        self.own = Some(Box::new(written(&self.refusals.refuse(status)).into()));
        // What is left of the head, and what follows it, will not be read.
        self.state.leave_body();
        true
    }

    /// Writes what is not hyper's.
    fn poll_own(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(own) = self.own.as_mut().filter(|own| !own.is_empty()) {
            let polled = Pin::new(&mut self.inner).poll_write(context, own);
            let count = ready!(self.stall.watch_io(context, polled))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            own.advance(count);
        }
        self.own = None;
        Poll::Ready(Ok(()))
    }

    /// Writes the interim responses that came, ahead of the response. Where it has not come yet, more
    /// of them may.
    fn poll_interims(
        &mut self,
        context: &mut Context<'_>,
        may_more_come: bool,
    ) -> Poll<io::Result<()>> {
        while self.between {
            ready!(self.poll_own(context))?;
            let interims = self.state.interims();
            let next = if may_more_come {
                interims.next(context)
            } else {
                interims.take()
            };
            match next {
                Some(next) => self.own = Some(Box::new(interim::written(&next).into())),
                None => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// What is written before hyper's next bytes.
    fn poll_before(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pause = None;
        ready!(self.poll_interims(context, false))?;
        self.between = false;
        Poll::Ready(Ok(()))
    }

    /// Follows the client's requests.
    fn note(&mut self, bytes: &[u8]) {
        if self.state.is_upgraded() {
            return;
        }
        if let Some(number) = self.heads.read(bytes) {
            self.state.note_ambiguous(number);
        }
        if self.heads.take_ended()
            && let Some(timeout) = &mut self.head_timeout
        {
            timeout.end = None;
        }
    }

    /// Waits for more of a head, as long as it may take.
    fn poll_head_timeout(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let between = self.is_between_requests();
        let Some(timeout) = &mut self.head_timeout else {
            return Poll::Pending;
        };
        if !self.heads.awaits_head() || self.state.is_upgraded() {
            return Poll::Pending;
        }
        let limit = timeout.limit;
        let end = *timeout.end.get_or_insert_with(|| Instant::now() + limit);
        let idle = end.checked_sub(limit.saturating_sub(IDLE));
        if let Some(idle) = idle
            && between
            && !self.state.is_idle()
        {
            ready!(timeout.timer.poll(idle, context));
            self.state.set_idle(true);
        }
        let ended = timeout.timer.poll(end, context);
        ended.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether a request was answered whole, and nothing of a further one has come.
    fn is_between_requests(&self) -> bool {
        self.heads.are_between() && !self.state.is_serving() && !self.state.is_blocked()
    }

    /// Ready once the client of an idle connection sends something, or not in time: whether it did. Nothing is
    /// lost of it.
    pub(crate) fn poll_again(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        if self.ahead.is_none() && !self.ended && self.look_ahead(context).is_err() {
            return Poll::Ready(false);
        }
        if self.ahead.is_none() && !self.ended {
            return self.poll_head_timeout(context).map(|_| false);
        }
        self.state.set_idle(false);
        Poll::Ready(!self.ended)
    }

    /// Waits until what was written before is in the socket: what does not fit stays where it is.
    fn poll_backlog(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.inner.has_backlog() {
            return Poll::Ready(Ok(()));
        }
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.stall.watch_io(context, polled)
    }

    /// Writes what hyper hands over, or what takes its place.
    fn poll_parts(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(context))?;
        ready!(self.poll_backlog(context))?;
        match self.state.trailers().find_end(parts) {
            Parts::These(parts) => {
                let polled = Pin::new(&mut self.inner).poll_write_vectored(context, parts);
                if let Poll::Ready(Ok(count)) = polled {
                    self.state.add_written(count);
                }
                self.stall.watch_io(context, polled)
            }
            Parts::Instead(own, count) => {
                self.own = Some(Box::new(own));
                Poll::Ready(Ok(count))
            }
        }
    }

    /// Sees that all is in the socket that was written.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_own(context))?;
        // All that hyper wrote is written.
        self.between = self.state.is_awaiting();
        ready!(self.poll_interims(context, true))?;
        let polled = Pin::new(&mut self.inner).poll_flush(context);
        self.stall.watch_io(context, polled)
    }

    /// Fails once the client is gone. While hyper serves a request it does not read, so that a
    /// client may close its side and still be answered; that it is gone would go unnoticed. It
    /// costs a system call only where there is something to read.
    fn check_client(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if !self.state.is_serving() {
            return Ok(());
        }
        let may_look = self.ahead.is_none() && !self.ended;
        if may_look && self.inner.poll_read_ready(context).is_ready() {
            self.look_ahead(context)?;
        }
        if !self.ended || self.state.is_awaiting() {
            return Ok(());
        }
        // A client that closed its side looks like one that closed altogether, until something is
        // sent to it: so a response that pauses is not carried on for ever.
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(sleep(MAX_SILENCE)));
        match pause.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// Reads one byte, which hyper gets when it reads again.
    fn look_ahead(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut next = [0];
        let mut buffer = ReadBuf::new(&mut next);
        match Pin::new(&mut self.inner).poll_read(context, &mut buffer) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.ahead = buffer.filled().first().copied();
                self.ended = self.ahead.is_none();
            }
            // Closed without a word of TLS, as many clients do.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.ended = true;
            }
            Poll::Ready(Err(error)) => return Err(error),
        }
        Ok(())
    }
}

impl Lingering {
    fn new() -> Box<Self> {
        let now = Instant::now();
        Box::new(Self {
            end: now + MAX_TIME,
            silence: Box::pin(sleep_until(now + MAX_SILENCE)),
            left: MAX_BYTES,
            buffer: [0; DISCARD_AT_ONCE],
        })
    }

    /// Discards what arrives, undecrypted, until the client closes its side or a bound is reached.
    fn poll(
        &mut self,
        socket: &mut (impl AsyncRead + Unpin),
        context: &mut Context<'_>,
    ) -> Poll<()> {
        while self.left > 0 {
            let mut buffer = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *socket).poll_read(context, &mut buffer) {
                Poll::Pending => return self.silence.as_mut().poll(context),
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => break,
                Poll::Ready(Ok(())) => {}
            }
            let count = u64::try_from(buffer.filled().len()).unwrap_or(u64::MAX);
            self.left = self.left.saturating_sub(count);
            let next = self.end.min(Instant::now() + MAX_SILENCE);
            self.silence.as_mut().reset(next);
        }
        Poll::Ready(())
    }
}

/// Has the beginning of an HTTP/2 connection refused like any head that is none: hyper would end the
/// connection without a word.
fn disguise_preface(bytes: &mut [u8]) {
    if bytes.starts_with(PREFACE)
        && let Some(first) = bytes.first_mut()
    {
        *first = b'X';
    }
}

impl<S: OverSocket, R: RefuseHead + Unpin> AsyncRead for ClientStream<S, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let ahead = self.ahead.take();
        if let Some(byte) = ahead {
            buffer.put_slice(&[byte]);
        }
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if self.heads.is_untouched() {
            disguise_preface(buffer.filled_mut().get_mut(before..).unwrap_or_default());
        }
        self.note(buffer.filled().get(before..).unwrap_or_default());
        match read {
            Poll::Pending if ahead.is_some() => Poll::Ready(Ok(())),
            Poll::Pending if self.heads.has_malformed_chunk() => {
                Poll::Ready(Err(io::ErrorKind::InvalidData.into()))
            }
            Poll::Pending => {
                let ended = ready!(self.poll_head_timeout(context));
                if !self.heads.are_between() {
                    // Counted and logged; a client that stopped half-way is not waiting for an answer.
                    drop(self.refusals.refuse(StatusCode::REQUEST_TIMEOUT));
                }
                Poll::Ready(ended)
            }
            done => done,
        }
    }
}

impl<S: OverSocket, R: RefuseHead + Unpin> AsyncWrite for ClientStream<S, R> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = parts
            && self.replace(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        let polled = self.poll_parts(context, parts);
        self.state.block(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_client(context)?;
        // hyper flushes once it has written all that it holds.
        let polled = self.poll_written(context);
        match polled {
            Poll::Pending => self.state.block(true),
            Poll::Ready(_) => self.state.finish_writing(),
        }
        polled
    }

    /// Half closes, and then lingers if a request's body was left unread: closed at once, the
    /// kernel would answer the rest of the body with a reset, and the client lose its response.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_own(context))?;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
            if !this.state.has_body_left() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(Lingering::new);
        lingering.poll(this.inner.socket(), context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;
    use tokio_rustls::server::TlsStream;

    #[test]
    fn an_idle_connection_holds_no_more_than_it_must() {
        // One allocation of 320 bytes; the next size is 384.
        type Served = ClientStream<Box<TlsStream<TcpStream>>, [usize; 2]>;
        assert!(size_of::<Served>() <= 320, "{}", size_of::<Served>());
    }
}
