//! The admin listener: health, readiness, metrics, and why a request was refused. It is not
//! for the open network.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{accepting::listener::ACCEPT_PAUSE, shared::Shared};

/// Renders the metrics.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves the operator until the process ends.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, metrics: Metrics) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: trying again at once would only burn CPU.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (shared, metrics) = (Arc::clone(&shared), Arc::clone(&metrics));
        let service = service_fn(move |request: Request<Incoming>| {
            let response = answer(&shared, &metrics, request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(shared: &Shared, metrics: &Metrics, path: &str) -> Response<Full<Bytes>> {
    match path {
        "/healthz" => json_response(StatusCode::OK, &json!({ "status": "ok" })),
        "/readyz" => ready(shared),
        "/metrics" => text_response(metrics() + &shared.metrics_text()),
        "/refusals" => json_response(StatusCode::OK, &json!(shared.refusals.latest())),
        _ => match path
            .strip_prefix("/refusals/")
            .and_then(|id| shared.refusals.explain(id))
        {
            Some(explanation) => json_response(StatusCode::OK, &json!(explanation)),
            None => json_response(
                StatusCode::NOT_FOUND,
                &json!({ "error": "no refusal with this request id is remembered" }),
            ),
        },
    }
}

fn ready(shared: &Shared) -> Response<Full<Bytes>> {
    let now = shared.now();
    let reason = shared.health.not_ready().or_else(|| shared.too_old(now));
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut warnings = shared.contact.warnings(now);
    warnings.extend(shared.health.warnings());
    let body = json!({
        "ready": reason.is_none(),
        "reason": reason,
        "revision": shared.snapshot.load().revision,
        "bundle_age_seconds": shared.contact.age(now),
        "warnings": warnings,
    });
    json_response(status, &body)
}

fn json_response(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text_response(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let value = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}
