//! The built-in upstream behind the gateway of `dev`: it echoes each request, to show what an
//! upstream receives.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::failure::{CommandResult, Doing};

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Starts the echo server, which runs until the process ends, and returns its URL.
pub(super) async fn start() -> CommandResult<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .doing("start the echo server")?;
    let address = listener
        .local_addr()
        .doing("read the echo server's address")?;
    tokio::spawn(run(listener));
    Ok(format!("http://{address}"))
}

async fn run(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let serving =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        tokio::spawn(serving);
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body_bytes = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_or(0, |body| body.to_bytes().len());
    let text = json!({
        "object": "echo",
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "headers": shown(&head.headers),
        "body_bytes": body_bytes,
    });
    let mut response = Response::new(Full::new(Bytes::from(format!("{text:#}\n"))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// The headers, without the values of secret ones.
fn shown(headers: &HeaderMap) -> Map<String, Value> {
    let shown = headers.iter().map(|(name, value)| {
        let value = match *name {
            header::AUTHORIZATION | header::COOKIE => "(not shown)".into(),
            _ => String::from_utf8_lossy(value.as_bytes())
                .into_owned()
                .into(),
        };
        (name.to_string(), value)
    });
    shown.collect()
}
