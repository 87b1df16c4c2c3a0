//! An HTTP/1.1 server that answers from a script and remembers what it was sent.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use countersign_client::{Client, ClientBuilder, types::secret::Secret};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const KEY: &str = "sk-admin-0123456789abcdefghijklmnop";

/// What the peer does with a request.
pub(crate) enum Reply {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Closes the connection without a word.
    HangUp,
    /// Keeps the connection and says nothing.
    Silence,
}

/// An answer with a JSON body.
pub(crate) fn json(status: u16, headers: &[(&str, &str)], body: &Value) -> Reply {
    raw(status, headers, &body.to_string())
}

/// An answer with any body.
pub(crate) fn raw(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let length = body.len();
    let text = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{body}");
    Reply::Bytes(text.into_bytes())
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The DER of the client's leaf, over TLS.
    pub(crate) leaf: Option<Vec<u8>>,
}

pub(crate) struct Peer {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(crate) async fn start(script: Vec<Reply>) -> Self {
        Self::listen(script, None).await
    }

    pub(crate) async fn start_tls(script: Vec<Reply>, acceptor: TlsAcceptor) -> Self {
        Self::listen(script, Some(acceptor)).await
    }

    async fn listen(script: Vec<Reply>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let memory = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (script, memory, tls) = (script.clone(), memory.clone(), tls.clone());
                tokio::spawn(async move {
                    let Some(tls) = tls else {
                        return converse(socket, None, &script, &memory).await;
                    };
                    if let Ok(stream) = tls.accept(socket).await {
                        let chain = stream.get_ref().1.peer_certificates();
                        let leaf = chain.and_then(|chain| Some(chain.first()?.to_vec()));
                        converse(stream, leaf, &script, &memory).await;
                    }
                });
            }
        });
        Self { port, seen, task }
    }

    pub(crate) fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder()
            .base_url(self.url("http", "/v1"))
            .key(Secret::new(KEY))
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

async fn converse(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    leaf: Option<Vec<u8>>,
    script: &Mutex<VecDeque<Reply>>,
    memory: &Mutex<Vec<Seen>>,
) {
    while let Some(mut seen) = read(&mut socket).await {
        seen.leaf.clone_from(&leaf);
        memory.lock().unwrap().push(seen);
        let reply = script.lock().unwrap().pop_front();
        match reply.unwrap_or_else(|| raw(418, &[], "nothing left in the script")) {
            Reply::Bytes(bytes) => socket.write_all(&bytes).await.unwrap(),
            Reply::HangUp => return,
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(socket.read_u8().await.ok()?);
    }
    let text = String::from_utf8(bytes).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    let headers: BTreeMap<String, String> = rest
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(Seen {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
        leaf: None,
    })
}
