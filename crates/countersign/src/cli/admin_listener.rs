//! Reads from a gateway's admin listener.

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::failure::{CommandResult, Doing, Failure};

/// The longest response that is read, in bytes.
const MAX_RESPONSE: usize = 4 * 1024 * 1024;

/// Gets a path of a gateway's admin listener; `None` when the gateway answers 404.
pub(crate) async fn get(base: &str, path: &str) -> CommandResult<Option<Value>> {
    let uri: Uri = base
        .parse()
        .map_err(|_| Failure::usage(format_args!("`{base}` is not a URL")))?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        let host = base.split_once("://").map_or(base, |(_, host)| host);
        return Err(Failure::usage(format_args!(
            "`{base}` is not an `http://` URL"
        ))
        .hint(format!(
            "the admin listener speaks plain HTTP, on a port of its own (`admin_listen`): `http://{host}`"
        )));
    };
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| {
        Failure::new(format_args!(
            "cannot reach the gateway's admin listener at {base}: {error}"
        ))
        .hint("set its URL with `--gateway-admin` or `COUNTERSIGN_GATEWAY_ADMIN_URL`")
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .doing("connect to the gateway")?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::usage(format_args!("`{path}` is not a valid path")))?;
    let response = sender
        .send_request(request)
        .await
        .doing("send a request to the gateway")?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_RESPONSE)
        .collect()
        .await;
    let body = body.map_err(|error| {
        Failure::new(format_args!("cannot read the gateway's response: {error}"))
    })?;
    match status {
        StatusCode::NOT_FOUND => Ok(None),
        _ => serde_json::from_slice(&body.to_bytes())
            .doing("read the gateway's response")
            .map(Some),
    }
}
