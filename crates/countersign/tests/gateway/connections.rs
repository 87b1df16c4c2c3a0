//! What is known of a client's connection: who may say where it comes from, what an upstream is told
//! of it, and what is answered to what is no TLS.

use countersign_gateway::options::{ForwardedAction, Traceparent, XfccField};
use countersign_testca::{General, root};
use countersign_types::digest::Sha256;
use serde_json::{Value, json};

use crate::{client::plain, world::World};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The headers that the upstream got of a request with these lines.
async fn echoed(world: &World, lines: &str) -> Value {
    let mut connection = world.tls(&[]).connect(world.address()).await;
    let echo = connection.get("/v1/echo", &world.key, lines).await.json();
    echo["headers"].clone()
}

const CLAIMS: &str = "x-forwarded-for: 198.51.100.1\r\nx-forwarded-proto: http\r\n\
    x-forwarded-host: evil.example\r\nx-forwarded-prefix: /x\r\nx_forwarded_for: 198.51.100.2\r\n\
    x-real-ip: 198.51.100.3\r\nforwarded: for=198.51.100.4\r\n";

#[tokio::test]
async fn what_a_client_claims_of_its_connection_is_replaced() {
    let world = World::new().await;
    let headers = echoed(&world, CLAIMS).await;
    assert_eq!(headers["x-forwarded-for"], json!(["127.0.0.1"]));
    assert_eq!(headers["x-forwarded-proto"], json!(["https"]));
    assert_eq!(headers["x-forwarded-host"], json!(["localhost"]));
    for removed in [
        "x-forwarded-prefix",
        "x_forwarded_for",
        "x-real-ip",
        "forwarded",
    ] {
        assert_eq!(headers[removed], Value::Null, "{removed}");
    }
}

#[tokio::test]
async fn what_a_proxy_in_front_says_is_added_to_when_it_is_to_be_believed() {
    let world = World::with(|options| {
        options.forwarded_headers.x_forwarded = ForwardedAction::Append;
        options.forwarded_headers.forwarded = ForwardedAction::Append;
    })
    .await;
    let headers = echoed(&world, CLAIMS).await;
    assert_eq!(
        headers["x-forwarded-for"],
        json!(["198.51.100.1, 127.0.0.1"])
    );
    assert_eq!(headers["x-forwarded-proto"], json!(["http"]));
    assert_eq!(headers["x-forwarded-host"], json!(["evil.example"]));
    assert_eq!(headers["x_forwarded_for"], Value::Null);
    let forwarded = "for=198.51.100.4, for=127.0.0.1;host=\"localhost\";proto=https";
    assert_eq!(headers["forwarded"], json!([forwarded]));
}

#[tokio::test]
async fn a_trace_passes_or_begins_and_is_named_in_the_access_log() {
    let mut world = World::new().await;
    let given = format!("00-{TRACE}-b7ad6b7169203331-01");
    let lines = format!("traceparent: {given}\r\ntracestate: a=1\r\n");
    let headers = echoed(&world, &lines).await;
    assert_eq!(headers["traceparent"], json!([given]));
    assert_eq!(headers["tracestate"], json!(["a=1"]));
    let lines = "traceparent: 00-0-0-0\r\ntracestate: a=1\r\n";
    let headers = echoed(&world, lines).await;
    assert_eq!(headers["tracestate"], Value::Null);
    let made = headers["traceparent"][0].as_str().unwrap();
    let log = world.log().await;
    assert_eq!(log[0]["trace_id"], TRACE);
    assert_eq!(Some(log[1]["trace_id"].as_str().unwrap()), made.get(3..35));
}

#[tokio::test]
async fn no_trace_begins_where_none_is_wanted() {
    let world = World::with(|options| options.traceparent = Traceparent::Pass).await;
    let headers = echoed(&world, "traceparent: 00-0-0-0\r\n").await;
    assert_eq!(headers["traceparent"], Value::Null);
}

#[tokio::test]
async fn xfcc_has_the_chosen_fields_of_the_verified_path() {
    let world = World::with(|options| {
        options.xfcc_header = true;
        options.xfcc_fields = vec![
            XfccField::Hash,
            XfccField::Cert,
            XfccField::Chain,
            XfccField::Subject,
            XfccField::Uri,
            XfccField::Dns,
        ];
    })
    .await;
    world.with_active_ca().await;
    let between = world.ca.intermediate("Between").mint();
    let leaf = between
        .leaf("billing")
        .san(General::dns("billing.example.com"))
        .san(General::uri("spiffe://example.com/billing"))
        .mint();
    let stranger = root("Stranger").mint();
    let mut connection = world
        .tls(&[&leaf, &stranger, &between])
        .connect(world.address())
        .await;
    let forged = "x-forwarded-client-cert: Hash=0\r\n";
    let echo = connection.get("/v1/echo", &world.key, forged).await.json();
    let lines = echo["headers"]["x-forwarded-client-cert"]
        .as_array()
        .unwrap();
    let [line] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    let keys: Vec<(&str, &str)> = line
        .as_str()
        .unwrap()
        .split(';')
        .map(|pair| pair.split_once('=').unwrap())
        .collect();
    let [hash, cert, chain, subject, uri, dns] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    assert_eq!(hash, &("Hash", &*Sha256::of(leaf.der()).to_string()));
    let pem = |encoded: &str| {
        let text = encoded.trim_matches('"').replace("%0A", "\n");
        let text = text.replace("%20", " ").replace("%2B", "+");
        text.replace("%2F", "/").replace("%3D", "=")
    };
    assert_eq!((cert.0, pem(cert.1)), ("Cert", leaf.pem()));
    let path = leaf.pem() + &between.pem();
    assert_eq!((chain.0, pem(chain.1)), ("Chain", path));
    assert_eq!(subject, &("Subject", "\"CN=billing\""));
    assert_eq!(uri, &("URI", "spiffe://example.com/billing"));
    assert_eq!(dns, &("DNS", "billing.example.com"));
}

/// The PROXY header, version 2, of a client at `198.51.100.7:8080`.
const PROXY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\
    \xc6\x33\x64\x07\xc0\x00\x02\x01\x1f\x90\x01\xbb";

#[tokio::test]
async fn a_listed_sender_says_whose_connection_it_sends() {
    let mut world = World::with(|options| options.proxy_protocol = true).await;
    let tls = world.tls(&[]);
    let mut connection = tls.connect_after(PROXY, world.address()).await.unwrap();
    let echo = connection.get("/v1/echo", &world.key, "").await.json();
    assert_eq!(echo["headers"]["x-forwarded-for"], json!(["198.51.100.7"]));
    let without = tls.connect_after(b"", world.address()).await;
    assert!(without.is_err(), "the header is missing");
    let log = world.log().await;
    assert_eq!(log[0]["peer"], "198.51.100.7:8080");
}

#[tokio::test]
async fn nobody_else_may_send_the_proxy_header_nor_connect_without() {
    let world = World::with(|options| {
        options.proxy_protocol = true;
        options.proxy_protocol_senders = vec!["192.0.2.0/24".parse().unwrap()];
    })
    .await;
    let tls = world.tls(&[]);
    for before in [PROXY, b""] {
        let connected = tls.connect_after(before, world.address()).await;
        assert!(connected.is_err());
    }
}

#[tokio::test]
async fn plain_http_is_told_to_use_tls_and_anything_else_gets_no_http() {
    let world = World::new().await;
    let long = format!("POST / HTTP/1.1\r\nhost: a\r\n\r\n{}", "x".repeat(30_000));
    for request in ["GET / HTTP/1.0\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n", &long] {
        let answer = plain(world.address(), request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{answer}"
        );
        assert!(answer.contains("plain HTTP request was sent"), "{answer}");
    }
    let answer = plain(world.address(), b"\x80\x2e\x01\x03\x01 not TLS").await;
    assert!(!answer.contains("HTTP"), "{answer}");
}
