//! Changing protocols: which upgrades are carried, and the bytes that follow one.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Version,
    header::{CONNECTION, UPGRADE},
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use crate::exchange::Exchange;

/// The protocol that a request asks to change to, if it does so properly: HTTP/1.1, an `Upgrade`
/// header and the word in `Connection` (RFC 9110 section 7.8). Another HTTP is not carried: its
/// requests would reach the upstream unseen, with any header that the client likes.
pub(crate) fn wanted(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = version == Version::HTTP_11
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let wanted = asked.then(|| headers.get(UPGRADE)).flatten()?;
    let text = wanted.to_str().ok()?;
    (!text.split(',').any(carries_requests)).then(|| wanted.clone())
}

/// Whether a protocol is another HTTP, or what HTTP may follow within.
fn carries_requests(protocol: &str) -> bool {
    let name = protocol.trim().split('/').next().unwrap_or_default();
    ["h2c", "h2", "http", "tls"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Carries an upgraded connection's bytes until either side ends it, nothing moves for as long as
/// `idle_timeout`, or the exchange is cut; none while it is held.
pub(crate) async fn tunnel<E: Exchange>(
    client: OnUpgrade,
    upstream: OnUpgrade,
    exchange: Arc<E>,
    idle_timeout: Option<Duration>,
) {
    let (Ok(client), Ok(upstream)) = tokio::join!(client, upstream) else {
        return;
    };
    let mut upstream = TokioIo::new(upstream);
    let mut client = Counted {
        inner: TokioIo::new(client),
        exchange: Arc::clone(&exchange),
    };
    let idle = async {
        match idle_timeout {
            Some(limit) => exchange.progress().is_quiet_for(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        _ = exchange.carry(copy_bidirectional(&mut client, &mut upstream)) => {}
        () = idle => {}
    }
}

/// The client's side of a tunnel; what passes counts as the exchange's progress.
struct Counted<T, E> {
    inner: T,
    exchange: Arc<E>,
}

impl<T: AsyncRead + Unpin, E: Exchange> AsyncRead for Counted<T, E> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let count = buffer.filled().len().saturating_sub(before);
        self.exchange.progress().add_received(count);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin, E: Exchange> AsyncWrite for Counted<T, E> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        self.exchange.progress().add_sent(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn an_upgrade_needs_both_headers_and_the_right_version() {
        let asked = map(&[("connection", "Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(wanted(Version::HTTP_11, &asked).unwrap(), "websocket");
        assert!(wanted(Version::HTTP_10, &asked).is_none());
        assert!(wanted(Version::HTTP_11, &map(&[("upgrade", "websocket")])).is_none());
        for other_http in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.2"] {
            let asked = map(&[("connection", "upgrade"), ("upgrade", other_http)]);
            assert!(wanted(Version::HTTP_11, &asked).is_none(), "{other_http}");
        }
    }
}
