//! The load: HTTP/1.1 on kept-alive connections, each with one request under way at any time,
//! for a fixed number of requests. One thread and blocking sockets: while one answer is read, the
//! server works on the requests of the other connections.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use crate::process::Outcome;

/// How many connections ask at once.
pub(crate) const CONNECTIONS: usize = 16;

/// Longer than any answer takes; a server that stalls fails the run instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests, ready to send. They are sent in order and again from the start.
pub(crate) struct Requests(Vec<Vec<u8>>);

impl Requests {
    pub(crate) fn new(requests: Vec<Vec<u8>>) -> Self {
        Self(requests)
    }

    /// How many different ones there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The request of a turn; `None` when there are none at all.
    pub(crate) fn at(&self, turn: usize) -> Option<&[u8]> {
        self.0.get(turn % self.0.len().max(1)).map(Vec::as_slice)
    }
}

/// A request with a bearer key and, with POST, a JSON body.
pub(crate) fn request(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n");
    if method == "POST" {
        text += &format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
    }
    text += "\r\n";
    text += body;
    text.into_bytes()
}

/// Sends `count` requests and returns the seconds that it took. Any answer but 200 is a failure:
/// refusals would make a server look fast.
pub(crate) fn drive(address: SocketAddr, requests: &Requests, count: usize) -> Outcome<f64> {
    let mut connections = (0..CONNECTIONS.min(count))
        .map(|_| Connection::open(address))
        .collect::<Outcome<Vec<_>>>()?;
    let started = Instant::now();
    let mut sent = 0;
    let mut answered = 0;
    while answered < count {
        for connection in &mut connections {
            if connection.waiting {
                connection.receive()?;
                answered += 1;
            }
            if sent < count {
                connection.send(requests.at(sent).ok_or("no requests to send")?)?;
                sent += 1;
            }
        }
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Sends one request and returns the body of its answer.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> Outcome<Vec<u8>> {
    let mut connection = Connection::open(address)?;
    connection.ask(request)?;
    Ok(connection.body)
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    waiting: bool,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::with_capacity(64 * 1024, stream),
            waiting: false,
            line: String::new(),
            body: Vec::new(),
        })
    }

    /// Sends a request and returns the body of its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.send(request)?;
        self.receive()?;
        Ok(&self.body)
    }

    fn send(&mut self, request: &[u8]) -> Outcome {
        self.stream.get_mut().write_all(request)?;
        self.waiting = true;
        Ok(())
    }

    fn receive(&mut self) -> Outcome {
        self.waiting = false;
        let status = self.next_line()?.to_owned();
        let length = self.headers()?;
        self.body.clear();
        match length {
            Some(length) => self.read_body(length)?,
            None => while self.read_chunk()? {},
        }
        if status.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        Err(format!("`{status}`: {}", String::from_utf8_lossy(&self.body)).into())
    }

    fn next_line(&mut self) -> Outcome<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(self.line.trim_end())
    }

    /// The length of the body; `None` when it comes in chunks.
    fn headers(&mut self) -> Outcome<Option<usize>> {
        let mut length = Some(0);
        loop {
            let line = self.next_line()?;
            let Some((name, value)) = line.split_once(':') else {
                return Ok(length);
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                length = None;
            }
        }
    }

    fn read_body(&mut self, length: usize) -> Outcome {
        let before = self.body.len();
        let limit = u64::try_from(length)?;
        (&mut self.stream).take(limit).read_to_end(&mut self.body)?;
        if self.body.len() - before == length {
            return Ok(());
        }
        Err("the server closed the connection within a body".into())
    }

    fn read_chunk(&mut self) -> Outcome<bool> {
        let length = usize::from_str_radix(self.next_line()?, 16)?;
        self.read_body(length)?;
        self.next_line()?;
        Ok(length > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::{io, net::TcpListener, thread};

    use super::*;

    /// Answers each request in turn with the next of these texts.
    fn server(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || -> io::Result<()> {
            let (stream, _) = listener.accept()?;
            let mut reader = BufReader::new(stream);
            for answer in answers {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line)?;
                }
                reader.get_mut().write_all(answer.as_bytes())?;
            }
            Ok(())
        });
        address
    }

    #[test]
    fn bodies_of_both_framings_are_read_whole() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ] {
            let body = ask(server(vec![answer]), &request("GET", "/", "k", "")).unwrap();
            assert_eq!(body, b"hello");
        }
    }

    #[test]
    fn an_answer_that_is_not_a_success_ends_the_run() {
        let address = server(vec![
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        ]);
        let failure = drive(
            address,
            &Requests::new(vec![request("GET", "/", "k", "")]),
            1,
        );
        assert!(failure.unwrap_err().to_string().contains("404"));
    }

    #[test]
    fn every_request_is_sent() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let address = server(vec![ok]);
        let requests = Requests::new(vec![request("GET", "/", "k", "")]);
        drive(address, &requests, 1).unwrap();
        assert_eq!(requests.len(), 1);
    }
}
