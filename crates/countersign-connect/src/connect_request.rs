//! The request that a tool begins a connection to a proxy with.

use std::io;

use data_encoding::BASE64;
use http::header::PROXY_AUTHORIZATION;
use memchr::memmem;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::token::Token;

/// The longest head that is read.
const MAX_HEAD: usize = 16 * 1024;

/// The most header lines of it.
const MAX_HEADERS: usize = 64;

const END: &[u8] = b"\r\n\r\n";

/// What a tool asks a proxy for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConnectRequest {
    pub(crate) method: String,
    /// A host and a port, if the method is `CONNECT`.
    pub(crate) target: String,
    authorization: Option<String>,
}

impl ConnectRequest {
    /// Reads a head, and not a byte more: what follows may be TLS. None if the connection ends before.
    ///
    /// # Errors
    /// When what comes is no head.
    pub(crate) async fn read(stream: &mut TcpStream) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        let mut seen = [0; 2048];
        loop {
            let count = stream.peek(&mut seen).await?;
            if count == 0 {
                return Ok(None);
            }
            let before = head.len();
            head.extend_from_slice(seen.get(..count).unwrap_or_default());
            let from = before.saturating_sub(END.len() - 1);
            let rest = head.get(from..).unwrap_or_default();
            let end = memmem::find(rest, END).map(|at| from + at + END.len());
            head.truncate(end.unwrap_or(head.len()));
            let taken = head.len() - before;
            stream
                .read_exact(seen.get_mut(..taken).unwrap_or_default())
                .await?;
            if end.is_some() {
                return Self::parse(&head).map(Some);
            }
            if head.len() > MAX_HEAD {
                return Err(io::Error::other("the head of the request is too long"));
            }
        }
    }

    fn parse(head: &[u8]) -> io::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let not_http = |_| io::Error::other("the request is not HTTP/1.1");
        request.parse(head).map_err(not_http)?;
        let authorization = request.headers.iter().find(|header| {
            header
                .name
                .eq_ignore_ascii_case(PROXY_AUTHORIZATION.as_str())
        });
        Ok(Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            authorization: authorization
                .and_then(|header| str::from_utf8(header.value).ok())
                .map(str::to_owned),
        })
    }

    /// Whether it gives the token as the password, whatever the user name.
    pub(crate) fn knows(&self, token: &Token) -> bool {
        let password = || {
            let (scheme, encoded) = self.authorization.as_deref()?.split_once(' ')?;
            let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
            let decoded = String::from_utf8(decoded).ok()?;
            let (_, password) = decoded.split_once(':')?;
            let is_basic = scheme.eq_ignore_ascii_case("basic");
            is_basic.then(|| token.is(password))
        };
        password().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    #[tokio::test]
    async fn a_head_is_read_to_its_end_and_no_further() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connecting = TcpStream::connect(listener.local_addr().unwrap());
        let (accepted, connected) = tokio::join!(listener.accept(), connecting);
        let (mut ours, mut theirs) = (accepted.unwrap().0, connected.unwrap());
        let sending = async {
            // In two pieces, the end of the head between them.
            for piece in [
                "CONNECT a.example:443 HTTP/1.1\r\nProxy-Authorization: Basic Y29ubmVjdDowMTIzNDU2Nzg5YWJjZGVm\r\n\r",
                "\n\u{16}\u{3}tls",
            ] {
                theirs.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (read, ()) = tokio::join!(ConnectRequest::read(&mut ours), sending);
        let request = read.unwrap().unwrap();
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("CONNECT", "a.example:443")
        );
        assert!(request.knows(&Token::new("0123456789abcdef").unwrap()));
        assert!(!request.knows(&Token::new("0123456789abcdeg").unwrap()));
        let mut rest = [0; 5];
        ours.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"\x16\x03tls");
    }

    #[test]
    fn without_the_right_credentials_nobody_knows_the_token() {
        let token = Token::new("0123456789abcdef").unwrap();
        let bare = BASE64.encode(b"0123456789abcdef");
        for authorization in [
            None,
            Some("Basic".to_owned()),
            Some("Basic ###".to_owned()),
            Some(format!("Basic {bare}")),
            Some("Bearer 0123456789abcdef".to_owned()),
        ] {
            let request = ConnectRequest {
                method: "CONNECT".to_owned(),
                target: "a:443".to_owned(),
                authorization,
            };
            assert!(!request.knows(&token), "{request:?}");
        }
    }
}
