//! The PROXY protocol, version 2: the address of the client, as a load balancer in front reports it
//! (the specification is HAProxy's `proxy-protocol.txt`, section 2.2).

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The most that follows the 16 bytes of the header: addresses and their extensions.
const MAX_LENGTH: u16 = 1024;

fn broken(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// Reads the header that precedes the connection. A health check of the load balancer itself
/// (`LOCAL`) keeps the address of the socket.
pub(crate) async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    peer: SocketAddr,
) -> io::Result<SocketAddr> {
    let mut signature = [0; 12];
    stream.read_exact(&mut signature).await?;
    if signature != SIGNATURE {
        return Err(broken("no PROXY protocol header, version 2"));
    }
    let version_and_command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = stream.read_u16().await?;
    if length > MAX_LENGTH {
        return Err(broken("the PROXY header is too long"));
    }
    let mut rest = vec![0; usize::from(length)];
    stream.read_exact(&mut rest).await?;
    match (version_and_command, family) {
        // Version 2, LOCAL.
        (0x20, _) => Ok(peer),
        // Version 2, PROXY; TCP over IPv4, then over IPv6.
        (0x21, 0x11) => v4(&rest).ok_or_else(|| broken("the PROXY header is too short")),
        (0x21, 0x21) => v6(&rest).ok_or_else(|| broken("the PROXY header is too short")),
        _ => Err(broken("the PROXY header is not for TCP over IP")),
    }
}

fn v4(rest: &[u8]) -> Option<SocketAddr> {
    let address: [u8; 4] = rest.get(..4)?.try_into().ok()?;
    let port: [u8; 2] = rest.get(8..10)?.try_into().ok()?;
    Some(SocketAddr::new(
        IpAddr::V4(Ipv4Addr::from(address)),
        u16::from_be_bytes(port),
    ))
}

fn v6(rest: &[u8]) -> Option<SocketAddr> {
    let address: [u8; 16] = rest.get(..16)?.try_into().ok()?;
    let port: [u8; 2] = rest.get(32..34)?.try_into().ok()?;
    Some(SocketAddr::new(
        IpAddr::V6(Ipv6Addr::from(address)),
        u16::from_be_bytes(port),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer() -> SocketAddr {
        "192.0.2.1:1".parse().unwrap()
    }

    async fn check(command: u8, family: u8, rest: &[u8]) -> io::Result<SocketAddr> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        bytes.extend(rest);
        bytes.extend(b"after");
        let mut stream = bytes.as_slice();
        let found = read(&mut stream, peer()).await?;
        assert_eq!(stream, b"after", "not a byte more may be taken");
        Ok(found)
    }

    #[tokio::test]
    async fn addresses_are_read_and_garbage_is_refused() {
        let v4 = [198, 51, 100, 7, 192, 0, 2, 1, 0x1f, 0x90, 0x01, 0xbb];
        assert_eq!(
            check(0x21, 0x11, &v4).await.unwrap(),
            "198.51.100.7:8080".parse().unwrap()
        );
        assert_eq!(check(0x20, 0x00, &[]).await.unwrap(), peer());
        assert!(check(0x21, 0x11, &v4[..6]).await.is_err());
        assert!(check(0x21, 0x31, &v4).await.is_err());
        assert!(check(0x11, 0x11, &v4).await.is_err());
        let mut http = &b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..];
        assert!(read(&mut http, peer()).await.is_err());
    }
}
