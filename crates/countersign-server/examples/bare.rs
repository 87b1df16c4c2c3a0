//! The floor under the control plane's benchmark: an axum handler that answers every request with
//! the bytes of one file, and nothing else.

use std::{env, fs, io};

use axum::{Router, response::IntoResponse};
use bytes::Bytes;
use http::header::CONTENT_TYPE;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_default();
    let body = Bytes::from(fs::read(arguments.next().unwrap_or_default())?);
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body).into_response() }
    };
    let listener = tokio::net::TcpListener::bind(address).await?;
    axum::serve(listener, Router::new().fallback(answer)).await
}
