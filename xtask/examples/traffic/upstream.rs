//! The upstream of every measured server: it does as little as possible.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::{answer, outcome::Outcome};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What a large body is sent in.
const PIECE: usize = 64 * 1024;

pub(crate) async fn serve(address: SocketAddr) -> Outcome {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let serving =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(respond));
        // A peer that disconnects ends only its own connection.
        tokio::spawn(async { drop(serving.await) });
    }
}

async fn respond(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let length = answer::large_length(request.uri().path());
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let mut response = match length {
        Some(length) => Response::new(large(length)),
        None => Response::new(Full::new(Bytes::from_static(answer::SMALL)).boxed_unsync()),
    };
    let length = length.unwrap_or(answer::SMALL.len());
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn large(length: usize) -> Body {
    static ZEROS: [u8; PIECE] = [0; PIECE];
    let pieces = (0..length.div_ceil(PIECE)).map(move |number| {
        let left = length - number * PIECE;
        let piece = Bytes::from_static(&ZEROS).slice(..left.min(PIECE));
        Ok(Frame::data(piece))
    });
    StreamBody::new(futures_util::stream::iter(pieces)).boxed_unsync()
}
