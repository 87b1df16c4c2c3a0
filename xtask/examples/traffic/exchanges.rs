//! Exchanges of a certificate for a token, on kept-alive connections: without the handshake.

use std::{net::SocketAddr, path::PathBuf, rc::Rc, time::Instant};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::{
    answer::Answers,
    client::Client,
    load::{AT_ONCE, SMALL_BUFFER, Turns, all, exchange},
    outcome::Outcome,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where the certificates are.
    #[arg(long)]
    directory: PathBuf,
    /// The gateway.
    #[arg(long)]
    address: SocketAddr,
    /// The host name that exchanges are served under.
    #[arg(long)]
    host: String,
    /// The body of an exchange.
    #[arg(long)]
    body: String,
    /// How many answers to wait for.
    #[arg(long)]
    count: usize,
}

/// Exchanges, and prints the first token beside how long the rest took.
pub(crate) async fn run(arguments: &Arguments) -> Outcome {
    let clients = Client::range(
        &arguments.directory,
        (0, AT_ONCE),
        arguments.address,
        b"http/1.1",
    )?;
    let (host, body) = (&arguments.host, &arguments.body);
    let request: Rc<[u8]> = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
    .into();
    let first = clients.first().ok_or("no client")?;
    let mut stream = first.connect().await?;
    stream.write_all(&request).await?;
    let answer = whole(&mut stream).await?;
    let read: Value = serde_json::from_str(&answer)?;
    let token = read.get("access_token").ok_or(answer.clone())?;
    let turns = Turns::new(arguments.count);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    // A leaf has no more than a few places, so each connection has its own.
    for client in &clients {
        let mut stream = client.connect().await?;
        // All are as long as the first: what differs between tokens has a fixed length.
        let (request, turns, length) = (Rc::clone(&request), turns.clone(), answer.len());
        tasks.spawn_local(async move {
            let mut answers = Answers::new(SMALL_BUFFER);
            while turns.take().is_some() {
                exchange(&mut stream, &mut answers, &request, length).await?;
            }
            Ok(())
        });
    }
    all(tasks).await?;
    let seconds = started.elapsed().as_secs_f64();
    let answers = arguments.count;
    println!(
        "{}",
        json!({ "answers": answers, "seconds": seconds, "token": token })
    );
    Ok(())
}

/// The body of one answer, which says how long it is.
async fn whole<S: AsyncRead + Unpin>(stream: &mut S) -> Outcome<String> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err("the server closed the connection within an answer".into());
        }
        let text = std::str::from_utf8(&read)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.ok_or("an answer without a length")? {
            return Ok(body.to_owned());
        }
    }
}
