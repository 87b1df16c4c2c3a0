//! An upstream whose bytes a test reads and writes itself.

use std::time::Duration;

use countersign_gateway::options::GatewayOptions;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::world::LIMIT;

pub(crate) struct RawUpstream(TcpListener);

impl RawUpstream {
    pub(crate) const fn of(listener: TcpListener) -> Self {
        Self(listener)
    }

    /// An upstream and its URL.
    pub(crate) async fn listen() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        (Self(listener), url)
    }

    /// An upstream, and what sets the only route of a gateway of one thread to it.
    pub(crate) async fn start() -> (Self, impl FnOnce(&mut GatewayOptions)) {
        let (upstream, url) = Self::listen().await;
        let route = move |options: &mut GatewayOptions| {
            options.routes[0].upstream = vec![url];
            options.threads = Some(1);
        };
        (upstream, route)
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> Raw {
        let (stream, _) = timeout(LIMIT, self.0.accept()).await.unwrap().unwrap();
        Raw(stream)
    }
}

/// One connection of it.
pub(crate) struct Raw(TcpStream);

/// A frame of HTTP/2.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;

/// `END_STREAM`; for `SETTINGS`, `ACK`.
pub(crate) const END: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:status: 200` in HPACK.
const STATUS_200: &[u8] = &[0x88];

impl Raw {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Writes until nothing was taken for as long as `silence`: how many bytes were.
    pub(crate) async fn write_until_silence(&mut self, bytes: &[u8], silence: Duration) -> usize {
        let mut taken = 0;
        while let Ok(count) = timeout(silence, self.0.write(&bytes[taken..])).await {
            taken += count.unwrap();
            assert!(taken < bytes.len(), "all was taken");
        }
        taken
    }

    /// Reads exactly so many bytes.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(LIMIT, self.0.read_exact(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        bytes
    }

    /// The head of an HTTP/1.1 request.
    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.read(1).await);
        }
        String::from_utf8(head).unwrap()
    }

    /// Answers with a body of 2 bytes and perhaps more header lines; the connection stays open.
    pub(crate) async fn answer(&mut self, lines: &str) {
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok");
        self.write(answer.as_bytes()).await;
    }

    /// Waits until the other side closes.
    pub(crate) async fn closed(mut self) {
        let mut rest = Vec::new();
        let read = timeout(LIMIT, self.0.read_to_end(&mut rest)).await;
        read.unwrap().unwrap();
        assert!(rest.is_empty(), "{rest:?}");
    }

    /// Waits until the other side goes away, whatever it sent.
    pub(crate) async fn ended(mut self) {
        let mut rest = Vec::new();
        // A connection that is reset ends too.
        let _ = timeout(LIMIT, self.0.read_to_end(&mut rest)).await.unwrap();
    }

    /// Begins HTTP/2 without TLS.
    pub(crate) async fn begin_http2(&mut self) {
        assert_eq!(self.read(24).await, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        self.frame(SETTINGS, 0, 0, &[]).await;
    }

    pub(crate) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.write(&frame).await;
    }

    /// The next frame of this kind.
    pub(crate) async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let head = self.read(9).await;
            let length =
                usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload: self.read(length).await,
            };
            if frame.kind == SETTINGS && frame.flags & END == 0 {
                self.frame(SETTINGS, END, 0, &[]).await;
            }
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Answers a stream with 200 and no body.
    pub(crate) async fn answer_stream(&mut self, stream: u32) {
        self.frame(HEADERS, END | END_HEADERS, stream, STATUS_200)
            .await;
    }

    /// Begins to answer a stream with 200 and a body.
    pub(crate) async fn begin_answer(&mut self, stream: u32) {
        self.frame(HEADERS, END_HEADERS, stream, STATUS_200).await;
    }

    /// Says that no stream above this one is processed.
    pub(crate) async fn go_away(&mut self, last: u32) {
        let mut payload = last.to_be_bytes().to_vec();
        payload.extend([0; 4]);
        self.frame(GOAWAY, 0, 0, &payload).await;
    }

    pub(crate) async fn reset_stream(&mut self, stream: u32, code: u32) {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }
}
