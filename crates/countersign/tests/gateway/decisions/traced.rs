//! A decision is a span of the trace that the asking proxy names.

use std::{net::SocketAddr, path::Path};

use http::StatusCode;

use super::{
    SECRET,
    asking::{Asking, Envoy, proven},
};
use crate::{
    process::free_address,
    reload::Operated,
    telemetry::{Collector, hex, text},
};

/// What the client says of its trace, and what an Envoy says of its own span.
const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const ENVOY: &str = "00-11111111111111111111111111111111-2222222222222222-01";

const PROTOCOLS: [&str; 4] = ["envoy_http", "auth_request", "forward_auth", "envoy_grpc"];

fn door(address: SocketAddr, protocol: &str, secret: &str) -> String {
    format!(
        "{{ listen = \"{address}\", protocol = \"{protocol}\", certificate = \"rfc9440\", \
         asked_by = {{ secret = {{ file = \"{secret}\" }} }} }}"
    )
}

/// A gateway with a door for each protocol, whose spans go to a collector.
async fn operated(collector: &Collector, directory: &Path) -> (Operated, [SocketAddr; 4]) {
    let file = directory.join("proxy.secret");
    std::fs::write(&file, SECRET).unwrap();
    let secret = file.to_str().unwrap();
    let addresses = PROTOCOLS.map(|_| free_address());
    let doors = PROTOCOLS.iter().zip(addresses);
    let doors: Vec<_> = doors.map(|(each, at)| door(at, each, secret)).collect();
    let endpoint = format!("http://{}", collector.address);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let lines = format!("decisions = [{}]", doors.join(", "));
    (
        Operated::with_variables(&lines, &variables).await,
        addresses,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_a_span_of_the_asking_proxys_trace() {
    let collector = Collector::start(StatusCode::OK).await;
    let directory = tempfile::tempdir().unwrap();
    let (operated, addresses) = operated(&collector, directory.path()).await;

    for (protocol, address) in PROTOCOLS.into_iter().zip(addresses).take(3) {
        let path = format!("/v1/{protocol}");
        let asked = [
            ("traceparent", CLIENT),
            ("x-original-method", "POST"),
            ("x-original-uri", &path),
            ("x-forwarded-method", "POST"),
            ("x-forwarded-uri", &path),
        ];
        let headers: Vec<_> = asked
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        // Who is not the proxy has no say in a trace, and its connection ends.
        let mut stranger = Asking::connect(address).await;
        assert_eq!(stranger.try_ask(&headers).await.unwrap().status, 503);
        let mut asking = Asking::connect(address).await;
        let answer = asking.ask(&operated.key, headers).await;
        assert_eq!(answer.status, 200, "{protocol}");
        let path = if protocol == "envoy_http" {
            "/v1/echo"
        } else {
            &path
        };
        let span = collector.decision(protocol, path).await;
        assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
        assert_eq!(span.name, format!("decision {protocol}"));
        let id = answer.header("x-request-id").map(str::to_owned);
        assert_eq!(text(&span, "countersign.request_id"), id);
        for (key, wanted) in [
            ("countersign.door", Some(protocol)),
            ("network.peer.address", Some("127.0.0.1")),
            ("http.response.status_code", Some("200")),
            ("client.address", None),
        ] {
            assert_eq!(text(&span, key).as_deref(), wanted, "{key}");
        }
    }

    let headers = vec![("traceparent".to_owned(), CLIENT.to_owned())];
    let mut envoy = Envoy::connect(addresses[3]).await.within(ENVOY);
    let checked = envoy.check(proven("unknown", headers), "", SECRET).await;
    assert!(checked.is_ok());
    let span = collector.span("/v1/echo", "invalid_api_key").await;
    assert_eq!(hex(&span.trace_id), "1".repeat(32));
    assert_eq!(hex(&span.parent_span_id), "2".repeat(16));
    assert_eq!(
        text(&span, "http.response.status_code").as_deref(),
        Some("401")
    );
}
