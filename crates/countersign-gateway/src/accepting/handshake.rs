//! From a socket to TLS: who sends the connection, what the PROXY protocol says of its client, and
//! the handshake.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    failures::{Failure, Reason},
    proxy_protocol,
};
use crate::options::GatewayOptions;

/// What every record of a handshake begins with (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// The answer to HTTP without TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\n\
    content-length: 78\r\n\
    connection: close\r\n\r\n\
    The plain HTTP request was sent to an HTTPS port. Use `https://` to reach it.\n";

/// The most bytes, and the longest time, that a plain request is read for after its answer: a
/// connection that is closed at once is reset, and its client may lose the answer.
const MAX_DISCARDED: usize = 64 * 1024;
const MAX_LINGERING: Duration = Duration::from_secs(2);

/// The handshake, and whose connection it is.
pub(super) async fn shake_hands(
    mut stream: TcpStream,
    sender: SocketAddr,
    options: &GatewayOptions,
    tls: TlsAcceptor,
) -> Result<(TlsStream<TcpStream>, SocketAddr), Failure> {
    let client = if options.proxy_protocol {
        proxied_client(&mut stream, sender, options).await?
    } else {
        sender
    };
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    let [first] = first;
    if first.is_ascii_alphabetic() {
        // Best effort: such a client may be gone already.
        let _ = timeout(MAX_LINGERING, answer_plain_http(&mut stream)).await;
        let error = io::Error::new(ErrorKind::InvalidData, "plain HTTP");
        return Err(Failure::new(Reason::PlainHttp, error));
    }
    match tls.accept(stream).await {
        Ok(stream) => Ok((stream, client)),
        Err(error) if first != HANDSHAKE_RECORD => Err(Failure::new(Reason::NotTls, error)),
        Err(error) => Err(error.into()),
    }
}

/// The client that the PROXY protocol names. Who may send it may claim any address, so that must be
/// a load balancer and nobody else.
async fn proxied_client(
    stream: &mut TcpStream,
    sender: SocketAddr,
    options: &GatewayOptions,
) -> Result<SocketAddr, Failure> {
    let address = sender.ip().to_canonical();
    let senders = &options.proxy_protocol_senders;
    if !senders.iter().any(|network| network.contains(&address)) {
        let why = "`proxy_protocol_senders` does not list this address";
        let error = io::Error::new(ErrorKind::PermissionDenied, why);
        return Err(Failure::new(Reason::ProxySender, error));
    }
    proxy_protocol::read(stream, sender)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidData => Failure::new(Reason::ProxyHeader, error),
            _ => error.into(),
        })
}

/// Answers a request without TLS, and discards what is left of it.
async fn answer_plain_http(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP).await?;
    stream.shutdown().await?;
    let mut buffer = [0; 1024];
    let mut discarded = 0;
    while discarded < MAX_DISCARDED {
        match stream.read(&mut buffer).await? {
            0 => break,
            count => discarded += count,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::PLAIN_HTTP;

    #[test]
    fn the_answer_to_plain_http_has_the_length_that_it_says() {
        let text = std::str::from_utf8(PLAIN_HTTP).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
    }
}
