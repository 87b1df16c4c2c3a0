//! Something between the program and its server, which sees each request before the server does:
//! it can answer itself, hold a request, or let it through.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
};

/// What becomes of a request.
pub(crate) enum Treated {
    /// It goes on to the server.
    Passed,
    /// The server does not know the path.
    NotFound,
}

/// A listener in front of a server.
pub(crate) struct Between {
    /// The base URL to call instead of the server's.
    pub(crate) base_url: String,
    /// `METHOD PATH` of each request, in order.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Between {
    pub(crate) fn start(
        base_url: &str,
        treat: impl Fn(&str) -> Treated + Send + Sync + 'static,
    ) -> Self {
        let server = base_url
            .strip_prefix("http://")
            .and_then(|rest| rest.strip_suffix("/v1"))
            .unwrap()
            .to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (requests, treat) = (Arc::clone(&seen), Arc::new(treat));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (server, requests) = (server.clone(), Arc::clone(&requests));
                let treat = Arc::clone(&treat);
                thread::spawn(move || one(stream.unwrap(), &server, &requests, &*treat));
            }
        });
        Self {
            base_url: format!("http://{address}/v1"),
            seen,
        }
    }

    /// The requests so far whose `METHOD PATH` holds this.
    pub(crate) fn seen(&self, part: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .filter(|each| each.contains(part))
            .cloned()
            .collect()
    }
}

/// Holds the `nth` request that the test is about: says when it has come, and waits for a word.
pub(crate) fn hold(
    part: &'static str,
    nth: usize,
) -> (
    impl Fn(&str) -> Treated + Send + Sync + 'static,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (come, has_come) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let may_go = Mutex::new(may_go);
    let count = Mutex::new(0);
    let treat = move |request: &str| {
        if request.ends_with(part) {
            let mut count = count.lock().unwrap();
            *count += 1;
            if *count == nth {
                come.send(()).unwrap();
                // Without a word, the test is over.
                let _ = may_go.lock().unwrap().recv();
            }
        }
        Treated::Passed
    };
    (treat, has_come, go)
}

/// Serves one request and closes.
fn one(
    mut client: TcpStream,
    server: &str,
    seen: &Mutex<Vec<String>>,
    treat: &dyn Fn(&str) -> Treated,
) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut head = first.clone();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if !lower.starts_with("connection:") {
            head += &line;
        }
    }
    head += "connection: close\r\n\r\n";
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let request = first.rsplit_once(' ').unwrap().0.to_owned();
    seen.lock().unwrap().push(request.clone());
    let answer = match treat(&request) {
        Treated::Passed => {
            let mut upstream = TcpStream::connect(server).unwrap();
            upstream.write_all(head.as_bytes()).unwrap();
            upstream.write_all(&body).unwrap();
            let mut answer = Vec::new();
            upstream.read_to_end(&mut answer).unwrap();
            answer
        }
        Treated::NotFound => b"HTTP/1.1 404 Not Found\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: 65\r\n\r\n\
            {\"error\":{\"message\":\"no\",\"type\":\"x\",\"param\":null,\"code\":null}}    "
            .to_vec(),
    };
    // The program may have been killed meanwhile.
    let _ = client.write_all(&answer);
}
