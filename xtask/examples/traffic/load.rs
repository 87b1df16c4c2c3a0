//! The load: what is sent, how much of it at once, and how fast it was answered.

use std::{
    cell::{Cell, RefCell},
    io::Read as _,
    net::SocketAddr,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::{Subcommand, ValueEnum};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    answer::{Answers, SMALL, SMALL_PATH, large_path},
    client::Client,
    outcome::Outcome,
};

/// How many requests are in flight at any time.
pub(crate) const AT_ONCE: usize = 16;
/// HTTP/2 connections that these are spread over.
const HTTP2_CONNECTIONS: usize = 4;
/// What a small answer, with its head, fits in.
pub(crate) const SMALL_BUFFER: usize = 4 * 1024;
/// What large answers are read with.
const LARGE_BUFFER: usize = 64 * 1024;
/// A small request to an API.
const QUESTION: &str = r#"{"model":"gpt-5","input":"Who is at the door, and may they come in?"}"#;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the certificates are.
    #[arg(long)]
    directory: PathBuf,
    /// The server.
    #[arg(long)]
    address: SocketAddr,
    /// The bearer key.
    #[arg(long)]
    key: String,
    /// The first leaf to use.
    #[arg(long, default_value_t = 0)]
    leaf: usize,
    /// How many answers to wait for.
    #[arg(long)]
    count: usize,
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand, Clone, Copy)]
enum Kind {
    /// A new connection for each request.
    Connections {
        /// A new leaf for each.
        #[arg(long)]
        unseen: bool,
    },
    /// Kept-alive connections.
    Requests { shape: Shape },
    /// Large answers on kept-alive connections.
    Large { length: usize },
    /// Connections that are asked once, then left alone until standard input ends.
    Idle,
    /// Small answers at a fixed rate, and how long each took.
    Paced {
        /// Requests each millisecond.
        rate: usize,
        /// Without TLS: straight to the upstream.
        #[arg(long)]
        plain: bool,
    },
}

#[derive(ValueEnum, Clone, Copy)]
enum Shape {
    Get,
    Post,
    Http2,
}

pub(crate) async fn run(arguments: &Arguments) -> Outcome {
    match arguments.kind {
        Kind::Connections { unseen } => connections(arguments, unseen).await,
        Kind::Requests {
            shape: Shape::Http2,
        } => http2(arguments).await,
        Kind::Requests { shape } => {
            let request = match shape {
                Shape::Post => post(&arguments.key),
                Shape::Get | Shape::Http2 => get(&arguments.key, SMALL_PATH),
            };
            requests(arguments, request, SMALL.len(), AT_ONCE).await
        }
        Kind::Large { length } => {
            let request = get(&arguments.key, &large_path(length));
            requests(arguments, request, length, 4).await
        }
        Kind::Idle => idle(arguments).await,
        Kind::Paced { rate, plain } => paced(arguments, rate, plain).await,
    }
}

fn get(key: &str, path: &str) -> Rc<[u8]> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n")
        .into_bytes()
        .into()
}

fn post(key: &str) -> Rc<[u8]> {
    let length = QUESTION.len();
    format!("POST {SMALL_PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{QUESTION}")
        .into_bytes()
        .into()
}

/// Counts down to zero across all tasks.
#[derive(Clone)]
pub(crate) struct Turns(Rc<Cell<usize>>);

impl Turns {
    pub(crate) fn new(count: usize) -> Self {
        Self(Rc::new(Cell::new(count)))
    }

    /// Takes a turn: its number, from the last to 0.
    pub(crate) fn take(&self) -> Option<usize> {
        let left = self.0.get().checked_sub(1)?;
        self.0.set(left);
        Some(left)
    }
}

pub(crate) async fn all(mut tasks: JoinSet<Result<(), String>>) -> Outcome {
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn say(count: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{}", json!({ "answers": count, "seconds": seconds }));
}

async fn connections(arguments: &Arguments, unseen: bool) -> Outcome {
    let count = arguments.count;
    let leaves = if unseen { count } else { 1 };
    let range = (arguments.leaf, leaves);
    let clients = Client::range(&arguments.directory, range, arguments.address, b"http/1.1")?;
    let clients: Rc<[Client]> = clients.into();
    let request = get(&arguments.key, SMALL_PATH);
    let turns = Turns::new(count);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for _ in 0..AT_ONCE {
        let (clients, request, turns) = (Rc::clone(&clients), Rc::clone(&request), turns.clone());
        tasks.spawn_local(async move {
            while let Some(turn) = turns.take() {
                let client = clients.get(turn % clients.len()).ok_or("no client")?;
                one_connection(client, &request)
                    .await
                    .map_err(|failure| failure.to_string())?;
            }
            Ok(())
        });
    }
    all(tasks).await?;
    say(count, started);
    Ok(())
}

async fn one_connection(client: &Client, request: &[u8]) -> Outcome {
    let mut stream = client.connect().await?;
    stream.write_all(request).await?;
    Answers::new(SMALL_BUFFER)
        .read(&mut stream, SMALL.len())
        .await?;
    Ok(stream.shutdown().await?)
}

async fn requests(
    arguments: &Arguments,
    request: Rc<[u8]>,
    length: usize,
    at_once: usize,
) -> Outcome {
    let range = (arguments.leaf, 1);
    let clients = Client::range(&arguments.directory, range, arguments.address, b"http/1.1")?;
    let client = clients.first().ok_or("no client")?;
    let turns = Turns::new(arguments.count);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for _ in 0..at_once {
        let mut stream = client.connect().await?;
        let (request, turns) = (Rc::clone(&request), turns.clone());
        tasks.spawn_local(async move {
            let mut answers = Answers::new(LARGE_BUFFER);
            while turns.take().is_some() {
                exchange(&mut stream, &mut answers, &request, length).await?;
            }
            Ok(())
        });
    }
    all(tasks).await?;
    say(arguments.count, started);
    Ok(())
}

pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    answers: &mut Answers,
    request: &[u8],
    length: usize,
) -> Result<(), String> {
    stream
        .write_all(request)
        .await
        .map_err(|error| error.to_string())?;
    let read = answers.read(stream, length).await;
    read.map_err(|failure| failure.to_string())
}

async fn http2(arguments: &Arguments) -> Outcome {
    let range = (arguments.leaf, 1);
    let clients = Client::range(&arguments.directory, range, arguments.address, b"h2")?;
    let client = clients.first().ok_or("no client")?;
    let turns = Turns::new(arguments.count);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for _ in 0..HTTP2_CONNECTIONS {
        let stream = client.connect().await?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        for _ in 0..AT_ONCE / HTTP2_CONNECTIONS {
            let (mut sender, turns, key) = (sender.clone(), turns.clone(), arguments.key.clone());
            tasks.spawn_local(async move {
                while turns.take().is_some() {
                    one_stream(&mut sender, &key)
                        .await
                        .map_err(|failure| failure.to_string())?;
                }
                Ok(())
            });
        }
    }
    all(tasks).await?;
    say(arguments.count, started);
    Ok(())
}

async fn one_stream(sender: &mut http2::SendRequest<Full<Bytes>>, key: &str) -> Outcome {
    let request = Request::builder()
        .method(Method::GET)
        .uri(format!("https://localhost{SMALL_PATH}"))
        .header("authorization", format!("Bearer {key}"))
        .body(Full::default())?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status == 200 && body.len() == SMALL.len() {
        return Ok(());
    }
    Err(format!("{status} with {} bytes", body.len()).into())
}

async fn idle(arguments: &Arguments) -> Outcome {
    let range = (arguments.leaf, 1);
    let clients = Client::range(&arguments.directory, range, arguments.address, b"http/1.1")?;
    let client = clients.first().ok_or("no client")?.clone();
    let turns = Turns::new(arguments.count);
    let open = Rc::new(RefCell::new(Vec::with_capacity(arguments.count)));
    let request = get(&arguments.key, SMALL_PATH);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for _ in 0..AT_ONCE {
        let (client, turns, open) = (client.clone(), turns.clone(), Rc::clone(&open));
        let request = Rc::clone(&request);
        tasks.spawn_local(async move {
            let mut answers = Answers::new(SMALL_BUFFER);
            while turns.take().is_some() {
                let connected = client.connect().await;
                let mut stream = connected.map_err(|failure| failure.to_string())?;
                exchange(&mut stream, &mut answers, &request, SMALL.len()).await?;
                open.borrow_mut().push(stream);
            }
            Ok(())
        });
    }
    all(tasks).await?;
    say(open.borrow().len(), started);
    // There is nothing else to do until then, so this thread may block.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Something that requests go over: TLS, or nothing.
trait Line: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Line for T {}

type Lines = Vec<(Box<dyn Line>, Answers)>;

async fn paced(arguments: &Arguments, rate: usize, plain: bool) -> Outcome {
    let range = (arguments.leaf, 1);
    let clients = Client::range(&arguments.directory, range, arguments.address, b"http/1.1")?;
    let client = clients.first().ok_or("no client")?;
    let idle: Rc<RefCell<Lines>> = Rc::default();
    for _ in 0..2 * AT_ONCE {
        let stream: Box<dyn Line> = if plain {
            let stream = TcpStream::connect(arguments.address).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        } else {
            Box::new(client.connect().await?)
        };
        idle.borrow_mut().push((stream, Answers::new(SMALL_BUFFER)));
    }
    let request = get(&arguments.key, SMALL_PATH);
    let took = Rc::new(RefCell::new(vec![0; arguments.count]));
    let mut tasks = JoinSet::new();
    let mut ticks = interval(Duration::from_millis(1));
    // A tick that comes late is made up for: the rate holds whatever the server does.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let started = Instant::now();
    for number in 0..arguments.count {
        if number % rate == 0 {
            ticks.tick().await;
        }
        let sent = Instant::now();
        let (request, took, idle) = (Rc::clone(&request), Rc::clone(&took), Rc::clone(&idle));
        // If none is free, the server does not keep up, and the wait counts.
        let mut line = idle.borrow_mut().pop();
        while line.is_none() {
            tasks.join_next().await.ok_or("no connections")???;
            line = idle.borrow_mut().pop();
        }
        let (mut stream, mut answers) = line.ok_or("no connections")?;
        tasks.spawn_local(async move {
            exchange(&mut stream, &mut answers, &request, SMALL.len()).await?;
            if let Some(took) = took.borrow_mut().get_mut(number) {
                *took = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
            }
            idle.borrow_mut().push((stream, answers));
            Ok(())
        });
    }
    all(tasks).await?;
    let seconds = started.elapsed().as_secs_f64();
    // In the order in which they were sent: what is slow one after the other was one stall.
    let took = took.take();
    println!(
        "{}",
        json!({ "answers": took.len(), "seconds": seconds, "took_ns": took })
    );
    Ok(())
}
