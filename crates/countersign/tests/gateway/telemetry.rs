//! Spans and metrics by OTLP, as a collector receives them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::any_value::Value,
    metrics::v1::{Metric, metric::Data},
    trace::v1::Span,
};
use prost::Message as _;
use tokio::{net::TcpListener, time::timeout};

use crate::{client::plain_get, process::Deployment, reload::Operated, world::LIMIT};

/// What a client says of its trace.
const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector: what it received, by path.
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<(String, HeaderMap, Bytes)>>>,
}

impl Collector {
    /// One that answers with this status.
    pub(crate) async fn start(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<_>>>::default();
        let keep = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keep = Arc::clone(&keep);
                let service = service_fn(move |request: Request<Incoming>| {
                    let keep = Arc::clone(&keep);
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await?.to_bytes();
                        let path = head.uri.path().to_owned();
                        keep.lock().unwrap().push((path, head.headers, body));
                        let mut response = Response::new(Full::<Bytes>::default());
                        *response.status_mut() = status;
                        Ok::<_, hyper::Error>(response)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, received }
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let traces = received.iter().filter(|(path, ..)| path == "/v1/traces");
        let requests =
            traces.map(|(.., body)| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        let resources = requests.flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let received = self.received.lock().unwrap();
        let metrics = received.iter().filter(|(path, ..)| path == "/v1/metrics");
        let requests =
            metrics.map(|(.., body)| ExportMetricsServiceRequest::decode(body.clone()).unwrap());
        let resources = requests.flat_map(|request| request.resource_metrics);
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    /// Waits for the span of a request with this path that has this code.
    pub(crate) async fn span(&self, path: &str, code: &str) -> Span {
        let fits = |span: &Span| has(span, "url.path", path) && has(span, "countersign.code", code);
        self.find(fits, path).await
    }

    /// Waits for the span of a decision at a door about this path.
    pub(crate) async fn decision(&self, door: &str, path: &str) -> Span {
        let fits = |span: &Span| has(span, "countersign.door", door) && has(span, "url.path", path);
        self.find(fits, door).await
    }

    async fn find(&self, fits: impl Fn(&Span) -> bool, sought: &str) -> Span {
        let waiting = async {
            loop {
                if let Some(found) = self.spans().into_iter().find(&fits) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, waiting).await.expect(sought)
    }
}

fn has(span: &Span, key: &str, value: &str) -> bool {
    text(span, key).as_deref() == Some(value)
}

pub(crate) fn text(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|each| each.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// A gateway and a control plane whose telemetry goes there, with more variables.
async fn operated(collector: SocketAddr, more: &[(&'static str, &str)]) -> Operated {
    let endpoint = format!("http://{collector}");
    let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    variables.extend_from_slice(more);
    Operated::with_variables("", &variables).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_one_trace_through_gateway_and_control_plane() {
    let collector = Collector::start(StatusCode::OK).await;
    let more = [
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
    ];
    let operated = operated(collector.address, &more).await;
    let mut connection = operated.client.connect(operated.address).await;
    let line = format!("traceparent: {GIVEN}\r\n");
    let path = "/v1/traced?api_key=hidden";
    let answer = connection.get(path, &operated.key, &line).await;
    let told = answer.json()["headers"]["traceparent"][0].clone();
    let span = collector.span("/v1/traced", "permit").await;
    check_span(&span, told.as_str().unwrap());

    // One that begins here, and is refused.
    assert_eq!(connection.get("/v1/begun", "unknown", "").await.status, 401);
    let refused = collector.span("/v1/begun", "invalid_api_key").await;
    assert!(refused.parent_span_id.is_empty() && refused.status.is_none());

    // To the control plane, whose span is the child of the gateway's.
    let path = "/v1/organization/certificates";
    let answer = connection.get(path, &operated.admin_key, &line).await;
    assert_eq!(answer.status, 200);
    until_child(&collector, path).await;
    let logged = operated.plane.log();
    assert!(logged.contains("0af7651916cd43dd8448eb211c80319c"));

    until_metrics(&collector).await;
    let received = collector.received.lock().unwrap();
    let mut keys = received.iter().map(|(_, headers, _)| &headers["api-key"]);
    assert!(keys.all(|key| key == "secret"));
    assert!(!operated.gateway.log().contains("secret"));
}

/// Whether a span is that of the request, of which the upstream was told this.
fn check_span(span: &Span, told: &str) {
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    let own = format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    assert_eq!(told, own);
    for (key, wanted) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/"),
        ("server.address", "localhost"),
        ("client.address", "127.0.0.1"),
        ("url.scheme", "https"),
    ] {
        assert_eq!(text(span, key).as_deref(), Some(wanted), "{key}");
    }
    assert_eq!(span.name, "GET /");
    let project = text(span, "countersign.project").unwrap();
    assert!(project.starts_with("proj_"));
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    assert!(!format!("{span:?}").contains("hidden"));
}

/// Waits for the control plane's span of a path, below the gateway's.
async fn until_child(collector: &Collector, path: &str) {
    let waiting = async {
        loop {
            let mut spans = collector.spans();
            spans.retain(|span| text(span, "url.path").as_deref() == Some(path));
            let of_gateway = |span: &&Span| hex(&span.parent_span_id) == "b7ad6b7169203331";
            let gateway = spans.iter().find(of_gateway);
            let is_child = |gateway: &Span| {
                let mut parents = spans.iter().map(|span| &span.parent_span_id);
                parents.any(|parent| *parent == gateway.span_id)
            };
            if gateway.is_some_and(is_child) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = timeout(LIMIT, waiting).await;
    waited.expect("the control plane's span");
}

async fn until_metrics(collector: &Collector) {
    for (name, is_it) in [
        (
            "countersign_gateway_verdicts_total",
            (|data| matches!(data, Data::Sum(_))) as fn(&Data) -> bool,
        ),
        ("countersign_gateway_connections", |data| {
            matches!(data, Data::Gauge(_))
        }),
        ("countersign_gateway_request_duration_seconds", |data| {
            matches!(data, Data::Histogram(_))
        }),
        ("countersign_revision", |data| {
            matches!(data, Data::Gauge(_))
        }),
    ] {
        let fits = |metric: &Metric| metric.name == name && metric.data.as_ref().is_some_and(is_it);
        let waiting = async {
            while !collector.metrics().iter().any(fits) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, waiting).await.expect(name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_sent_at_the_stop() {
    let collector = Collector::start(StatusCode::OK).await;
    let operated = operated(collector.address, &[("OTEL_BSP_SCHEDULE_DELAY", "600000")]).await;
    let mut connection = operated.client.connect(operated.address).await;
    assert_eq!(
        connection.get("/v1/last", &operated.key, "").await.status,
        200
    );
    drop(connection);
    operated.gateway.signal("TERM");
    collector.span("/v1/last", "permit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_silent_or_refuses_holds_nothing_up_and_what_is_lost_is_counted() {
    let refusing = Collector::start(StatusCode::BAD_REQUEST).await;
    // Nobody accepts.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, result) in [
        (refusing.address, "not_taken"),
        (silent.local_addr().unwrap(), "no_room"),
    ] {
        let more = [
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
        ];
        let mut operated = operated(address, &more).await;
        let lost = format!("countersign_telemetry_spans_total{{result=\"{result}\"}} ");
        let counted = async {
            loop {
                operated.make_requests(5).await;
                let metrics = plain_get(operated.admin, "/metrics").await;
                let mut lines = metrics.lines();
                let count = lines.find_map(|line| line.strip_prefix(&lost)?.parse::<u64>().ok());
                if count > Some(0) {
                    return;
                }
            }
        };
        timeout(LIMIT, counted).await.expect(result);
        operated.gateway.signal("TERM");
        let ended = async {
            while !operated.gateway.has_ended() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, ended).await.expect("the end of the process");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_nothing_is_made_ready_and_what_cannot_be_spoken_is_said() {
    let threads = |operated: &Operated| operated.gateway.threads();
    let operated = Operated::with("").await;
    assert!(!threads(&operated).contains(&"telemetry".to_owned()));
    drop(operated.gateway);
    let deployment = Deployment::local(operated.directory.path());
    let mut command = deployment.gateway_command(0);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let said = crate::process::Starting::begin(&mut command).until("no telemetry is sent");
    drop(said);
}
