//! One request to an HTTP/2 upstream: its head, its body as fast as the upstream takes it, and what
//! comes back until the head of the response.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, client::SendRequest};
use http::{Method, Request, Response, header::CONTENT_LENGTH, request::Parts};
use http_body::{Body, Frame};

use crate::{
    exchange::Exchange,
    http2_response::{Reset, poll_capacity},
    request_body::RequestBody,
    stream_body::StreamBody,
};

/// Sends a request until the head of its response; what is left of its body goes on by itself. Whoever
/// drops the future resets the stream.
pub(crate) async fn send<E: Exchange>(
    mut sender: SendRequest<Bytes>,
    request: Request<RequestBody<E>>,
) -> Result<Response<StreamBody>, h2::Error> {
    let ends = request.body().is_end_stream();
    let (mut head, body) = request.into_parts();
    let interims = body.interims().cloned();
    complete(&mut head, &body);
    let (mut response, stream) = sender.send_request(Request::from_parts(head, ()), ends)?;
    let mut upload = (!ends).then(|| Box::pin(upload(stream, body)));
    let response = poll_fn(|context| {
        if let Some(rest) = &mut upload
            && rest.as_mut().poll(context).is_ready()
        {
            upload = None;
        }
        while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(context) {
            if let Some(interims) = &interims {
                interims.pass_on(interim.status(), interim.headers());
            }
        }
        Pin::new(&mut response).poll(context)
    })
    .await?;
    if let Some(rest) = upload {
        tokio::spawn(rest);
    }
    let (head, stream) = response.into_parts();
    let body = StreamBody::new(stream, &head.headers);
    Ok(Response::from_parts(head, body))
}

/// Adds the length of a body, if it is known; that there is none is said where one is usual (RFC
/// 9110 section 8.6).
fn complete<B: Body>(head: &mut Parts, body: &B) {
    let usual = !matches!(head.method, Method::GET | Method::HEAD | Method::DELETE);
    if let Some(length) = body.size_hint().exact()
        && (length > 0 || usual)
    {
        let entry = head.headers.entry(CONTENT_LENGTH);
        entry.or_insert_with(|| length.into());
    }
}

/// Sends a body to its end, or until the upstream wants no more of it.
async fn upload<E: Exchange>(mut stream: SendStream<Bytes>, mut body: RequestBody<E>) {
    // A reset says it all: the response tells what became of the request.
    let _ = send_body(&mut stream, &mut body).await;
}

async fn send_body<E: Exchange>(
    stream: &mut SendStream<Bytes>,
    body: &mut RequestBody<E>,
) -> Result<(), Reset> {
    loop {
        let Some(frame) = poll_fn(|context| poll_next(stream, body, context)).await? else {
            return stream.send_data(Bytes::new(), true).map_err(|_| Reset);
        };
        match frame.into_data() {
            Ok(bytes) => {
                let last = body.is_end_stream();
                if !bytes.is_empty() {
                    // What is in hand goes to `h2` whole as soon as the upstream takes any of it.
                    stream.reserve_capacity(1);
                    poll_fn(|context| poll_capacity(stream, context)).await?;
                }
                stream.send_data(bytes, last).map_err(|_| Reset)?;
                if last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return stream.send_trailers(trailers).map_err(|_| Reset);
                }
            }
        }
    }
}

/// The next frame of a body. A client that breaks off ends the stream.
fn poll_next<E: Exchange>(
    stream: &mut SendStream<Bytes>,
    body: &mut RequestBody<E>,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, Reset>> {
    if stream.poll_reset(context).is_ready() {
        return Poll::Ready(Err(Reset));
    }
    let frame = ready!(Pin::new(body).poll_frame(context)).transpose();
    Poll::Ready(frame.map_err(|_| {
        stream.send_reset(Reason::CANCEL);
        Reset
    }))
}
