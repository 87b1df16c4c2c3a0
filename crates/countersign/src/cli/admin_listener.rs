//! Asking a gateway's operator listener.

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::failure::{Doing, Failure, Outcome};

/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// What a gateway answers at a path of its operator listener; `None` when nothing is there.
pub(crate) async fn get(base: &str, path: &str) -> Outcome<Option<Value>> {
    let uri: Uri = base
        .parse()
        .map_err(|_| Failure::usage(format_args!("`{base}` is not a URL")))?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(Failure::usage(format_args!(
            "`{base}` is not an `http://` URL"
        )));
    };
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| {
        Failure::new(format_args!(
            "cannot reach the gateway's operator listener at {base}: {error}"
        ))
        .hint("`--gateway-admin` or `COUNTERSIGN_GATEWAY_ADMIN_URL` says where it is")
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .doing("speak with the gateway")?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::usage(format_args!("`{path}` is not something to ask for")))?;
    let response = sender
        .send_request(request)
        .await
        .doing("ask the gateway")?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await;
    let body =
        body.map_err(|error| Failure::new(format_args!("cannot read the answer: {error}")))?;
    match status {
        StatusCode::NOT_FOUND => Ok(None),
        _ => serde_json::from_slice(&body.to_bytes())
            .doing("read the gateway's answer")
            .map(Some),
    }
}
