//! The response to one HTTP/2 request: interim responses, the head, and the body as fast as its
//! client takes it.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::{Duration, UNIX_EPOCH},
};

use bytes::{Buf, Bytes};
use h2::{Reason, SendStream, server::SendResponse};
use http::{
    HeaderMap, HeaderValue, Response,
    header::{CONTENT_LENGTH, DATE},
    response::Parts,
};
use http_body::Body;

use crate::{
    backlog::{Backlog, Piece},
    error::BodyError,
    frame_budget::EACH_USEFUL_FRAME,
    http2_io::Traffic,
    interim::Interims,
    stall::Stall,
};

/// The most bytes of one frame, unless a client asks for more, which is not used.
const FRAME_BYTES: usize = 16 * 1024;

/// The last second that a `date` can name.
const LAST_DATE: u64 = 253_402_300_799;

/// What the responses of a connection share.
pub(crate) struct Responses {
    /// Seconds since the Unix epoch, for `date`.
    pub(crate) clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) traffic: Arc<Traffic>,
    /// How long a client may take nothing of a response.
    pub(crate) send_timeout: Duration,
}

impl std::fmt::Debug for Responses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Responses")
            .field("backlog", &self.backlog)
            .finish_non_exhaustive()
    }
}

/// The client ended the stream, or the stream failed.
pub(crate) struct Reset;

/// Sends the interim responses of a request as they come, and the head of its response; what is left
/// to send is its body, if there is any.
///
/// # Errors
/// When the stream ends first: all work for it ends with that.
pub(crate) async fn send_head<B>(
    respond: &mut SendResponse<Piece>,
    response: impl Future<Output = Response<B>>,
    interims: &Interims,
    responses: &Responses,
) -> Result<Option<(SendStream<Piece>, B)>, Reset>
where
    B: Body<Data = Bytes>,
{
    let mut response = pin!(response);
    let mut begun = false;
    let response = poll_fn(|context| {
        // Before the work goes on: what was reset costs no connection to an upstream.
        if !std::mem::replace(&mut begun, true) && respond.poll_reset(context).is_ready() {
            return Poll::Ready(Err(Reset));
        }
        let polled = response.as_mut().poll(context);
        let next = || match polled {
            Poll::Ready(_) => interims.take(),
            Poll::Pending => interims.next(context),
        };
        while let Some(interim) = next() {
            // A stream that cannot take it is found to be reset next.
            let _ = respond.send_informational(interim);
        }
        match polled {
            Poll::Ready(response) => Poll::Ready(Ok(response)),
            Poll::Pending => respond.poll_reset(context).map(|_| Err(Reset)),
        }
    })
    .await?;
    let (mut head, body) = response.into_parts();
    let ends = body.is_end_stream();
    complete(&mut head, &body, ends, &*responses.clock);
    let sent = respond.send_response(Response::from_parts(head, ()), ends);
    match sent {
        Ok(_) if ends => Ok(None),
        Ok(stream) => Ok(Some((stream, body))),
        Err(_) => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            Err(Reset)
        }
    }
}

/// Adds what a response must have.
fn complete<B: Body>(head: &mut Parts, body: &B, ends: bool, clock: &dyn Fn() -> u64) {
    if !head.headers.contains_key(DATE) {
        let date =
            httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(clock().min(LAST_DATE)));
        let date = HeaderValue::from_str(&date);
        head.headers.extend(date.ok().map(|date| (DATE, date)));
    }
    if !ends
        && let Some(length) = body.size_hint().exact()
        && !head.headers.contains_key(CONTENT_LENGTH)
    {
        head.headers.insert(CONTENT_LENGTH, length.into());
    }
}

/// Sends a body. Nothing of it is asked for before there is room for it.
pub(crate) async fn send_body<B>(mut stream: SendStream<Piece>, body: B, responses: &Responses)
where
    B: Body<Data = Bytes, Error = BodyError>,
{
    let mut body = pin!(body);
    let mut stall = Stall::new(responses.send_timeout);
    loop {
        match next_frame(&mut stream, body.as_mut(), responses).await {
            Err(Reset) => return,
            Ok(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => {
                    let last = body.is_end_stream();
                    let sent = send_bytes(&mut stream, bytes, last, &mut stall, responses).await;
                    if last || sent.is_err() {
                        return;
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        end(&mut stream, trailers);
                        return;
                    }
                }
            },
            Ok(Some(Err(_))) => return stream.send_reset(Reason::INTERNAL_ERROR),
            Ok(None) => {
                let _ = stream.send_data(Piece::empty(), true);
                return;
            }
        }
    }
}

fn end(stream: &mut SendStream<Piece>, trailers: HeaderMap) {
    if stream.send_trailers(trailers).is_err() {
        stream.send_reset(Reason::INTERNAL_ERROR);
    }
}

type Polled = Option<Result<http_body::Frame<Bytes>, BodyError>>;

/// The body's next frame, once there is room for one.
async fn next_frame<B>(
    stream: &mut SendStream<Piece>,
    mut body: Pin<&mut B>,
    responses: &Responses,
) -> Result<Polled, Reset>
where
    B: Body<Data = Bytes, Error = BodyError>,
{
    poll_fn(|context| {
        let room = responses.backlog.poll_room(context);
        if room.is_ready()
            && let Poll::Ready(frame) = body.as_mut().poll_frame(context)
        {
            return Poll::Ready(Ok(frame));
        }
        // Only what waits must be told: the next piece of a stream that was reset cannot be sent.
        stream.poll_reset(context).map(|_| Err(Reset))
    })
    .await
}

/// Sends bytes as far as the client's windows and the room on its connection go, piece by piece.
async fn send_bytes(
    stream: &mut SendStream<Piece>,
    mut bytes: Bytes,
    last: bool,
    stall: &mut Stall,
    responses: &Responses,
) -> Result<(), Reset> {
    if bytes.is_empty() {
        return stream.send_data(Piece::empty(), last).map_err(|_| Reset);
    }
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        // Room comes as the connection moves; that this stream moves too is up to its client.
        poll_fn(|context| responses.backlog.poll_room(context)).await;
        let capacity = poll_fn(|context| {
            let polled = poll_capacity(stream, context);
            stall.watch(context, polled)
        });
        let Ok(capacity) = capacity.await else {
            stream.send_reset(Reason::CANCEL);
            return Err(Reset);
        };
        let piece = bytes.split_to(capacity?.min(bytes.len()));
        let frames = u32::try_from(piece.len() / FRAME_BYTES + 1).unwrap_or(u32::MAX);
        let earned = frames.saturating_mul(EACH_USEFUL_FRAME);
        responses
            .traffic
            .earned
            .fetch_add(earned, Ordering::Relaxed);
        let ends = last && bytes.is_empty();
        stream
            .send_data(Piece::new(piece, &responses.backlog), ends)
            .map_err(|_| Reset)?;
    }
    Ok(())
}

/// How many bytes may be sent now.
pub(crate) fn poll_capacity<B: Buf>(
    stream: &mut SendStream<B>,
    context: &mut Context<'_>,
) -> Poll<Result<usize, Reset>> {
    loop {
        match stream.capacity() {
            0 => {}
            capacity => return Poll::Ready(Ok(capacity)),
        }
        match ready!(stream.poll_capacity(context)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(Err(Reset)),
        }
    }
}
