//! How what the machine asks for is sent: the real driver, against a control plane of a few lines.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use countersign_client::Client;
use countersign_types::{
    bundle::{BundleDigests, OrganizationDigest},
    history::HistoryPoint,
    secret::Secret,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::{SECOND, Server, id, server};
use crate::{
    caller::snapshot::Snapshot,
    shared::Shared,
    sync::{
        messages::{Failure, Input, Pull, Report},
        pull::{Sync, heard},
    },
};

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

struct Plane(TcpListener);

impl Plane {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// A gateway of it, whose one thread enforces whatever comes.
    fn gateway(&self, directory: &Path) -> Sync {
        let mut shared = Shared::of(Snapshot::default());
        let own = Arc::get_mut(&mut shared).unwrap();
        own.options.data_dir = directory.to_owned();
        own.enforced = vec![AtomicU64::new(u64::MAX)];
        let client = Client::builder()
            .base_url(format!("http://{}/v1", self.0.local_addr().unwrap()))
            .key(Secret::new("k"))
            .max_retries(0);
        let (_, configured) = tokio::sync::watch::channel(client.build().unwrap());
        Sync::start(shared, configured, (), 7).unwrap()
    }

    async fn accept(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }
}

/// The line of a request, which is read to its end.
async fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    head.lines().next().unwrap().to_owned()
}

async fn answer(stream: &mut TcpStream, status: u16, body: &str) {
    let length = body.len();
    let whole = format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(whole.as_bytes()).await.unwrap();
}

/// Runs a gateway until the plane has seen what it waits for.
async fn run<T>(gateway: &mut Sync, plane: impl Future<Output = T>) -> T {
    tokio::select! {
        () = gateway.run() => panic!("it ended"),
        seen = timeout(LIMIT, plane) => seen.expect("what the control plane waits for"),
    }
}

#[tokio::test]
async fn after_a_failure_a_pull_is_sent_on_a_new_connection() {
    let (plane, directory) = (Plane::start().await, tempfile::tempdir().unwrap());
    let mut gateway = plane.gateway(directory.path());
    let refusals = async {
        // They stay open, and could be used again.
        let mut connections = Vec::new();
        for _ in 0..3 {
            let mut stream = plane.accept().await;
            assert!(request(&mut stream).await.contains("/bundle?"));
            answer(&mut stream, 503, "").await;
            connections.push(stream);
        }
    };
    run(&mut gateway, refusals).await;
}

#[tokio::test]
async fn a_pull_under_way_is_given_up_before_the_goodbye() {
    let (plane, directory) = (Plane::start().await, tempfile::tempdir().unwrap());
    let mut gateway = plane.gateway(directory.path());
    let pulled = async {
        let mut stream = plane.accept().await;
        request(&mut stream).await;
        stream
    };
    let mut pull = run(&mut gateway, pulled).await;
    let goodbye = async {
        let mut stream = plane.accept().await;
        assert!(request(&mut stream).await.starts_with("DELETE "));
        let given_up = timeout(SECOND, pull.read(&mut [0])).await;
        assert_eq!(given_up.expect("the pull has ended").unwrap(), 0);
        answer(&mut stream, 200, "{}").await;
    };
    timeout(LIMIT, async { tokio::join!(gateway.finish(), goodbye) })
        .await
        .unwrap();
}

/// Answers what is asked, on any connection, as this server until something is asked that is waited for:
/// the line of that request.
async fn serve_until(
    plane: &Plane,
    server: &Server,
    digests: &BundleDigests,
    last: fn(&str) -> bool,
) -> String {
    let (told, mut lines) = mpsc::unbounded_channel();
    loop {
        let mut stream = tokio::select! {
            stream = plane.accept() => stream,
            line = lines.recv() => return line.unwrap(),
        };
        let (server, digests, told) = (server.clone(), digests.clone(), told.clone());
        tokio::spawn(async move {
            loop {
                let line = request(&mut stream).await;
                if last(&line) {
                    let _ = told.send(line);
                    return;
                }
                let after = if line.contains("after=0") {
                    HistoryPoint::START
                } else {
                    server.point()
                };
                let body = if line.contains("/digests") {
                    serde_json::to_string(&digests)
                } else {
                    serde_json::to_string(&server.answer(after))
                };
                answer(&mut stream, 200, &body.unwrap()).await;
            }
        });
    }
}

#[tokio::test]
async fn what_the_digests_say_is_followed() {
    let (plane, directory) = (Plane::start().await, tempfile::tempdir().unwrap());
    let mut gateway = plane.gateway(directory.path());
    let server = server(&["a"]);
    let mut digests = server.digests();
    let missing = OrganizationDigest {
        id: id("b"),
        digest: digests.organizations[0].digest,
    };
    digests.organizations.push(missing);
    let is_fetch = |line: &str| line.contains("organizations");
    let fetched = serve_until(&plane, &server, &digests, is_fetch);
    let line = run(&mut gateway, fetched).await;
    assert!(line.contains("org-b"), "{line}");
}

#[tokio::test]
async fn what_could_not_be_written_is_not_reported_as_durable() {
    let (plane, directory) = (Plane::start().await, tempfile::tempdir().unwrap());
    let mut gateway = plane.gateway(directory.path());
    drop(directory);
    let server = server(&["a"]);
    let reports = |line: &str| line.contains("after=1");
    let digests = server.digests();
    let reported = serve_until(&plane, &server, &digests, reports);
    let line = run(&mut gateway, reported).await;
    assert!(line.contains("durable=false"), "{line}");
}

#[tokio::test]
async fn a_pull_is_as_patient_as_it_is_to_be_and_hears_what_arrives() {
    let (plane, directory) = (Plane::start().await, tempfile::tempdir().unwrap());
    let gateway = plane.gateway(directory.path());
    let pull = Pull {
        number: 9,
        beside: None,
        after: HistoryPoint::START,
        wait: Duration::ZERO,
        patience: Duration::from_millis(100),
        report: Report::Nothing,
    };
    let mut under_way = Some(gateway.pull(pull));
    let heard_all = async {
        let first = heard(&mut under_way).await;
        (first, heard(&mut under_way).await)
    };
    let begins = async {
        let mut stream = plane.accept().await;
        request(&mut stream).await;
        let head = b"HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream
    };
    // Less than the patience of any other request.
    let both = timeout(SECOND, async { tokio::join!(heard_all, begins) });
    let (heard, _stream) = both.await.unwrap();
    let silent = Input::PullFailed(9, Failure::Silence);
    assert_eq!(heard, (Input::Arriving(9), silent));
}
