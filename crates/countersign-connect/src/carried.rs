//! One request on its way: what ends with it, and what is said of it when it ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use countersign_proxy::{ClientState, CutSignal, Exchange, Progress};
use countersign_types::error::ErrorCode;
use http::{HeaderName, Method, StatusCode};
use metrics::counter;

use crate::meaning::meaning;

/// One request and its response. It is said how it went when the last byte has passed.
#[derive(Debug)]
pub(crate) struct Carried {
    client: Arc<ClientState>,
    cut: CutSignal,
    progress: Progress,
    started: Instant,
    record: Mutex<Record>,
}

/// What is said of a request: no query, no header and no body, which may all hold secrets.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) server: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) status: Option<StatusCode>,
    /// The error code, if the answer has one.
    pub(crate) code: Option<String>,
    /// The id by which the server knows the request.
    pub(crate) request_id: Option<String>,
    /// Why there is no answer from the server.
    pub(crate) failure: Option<String>,
}

impl Record {
    pub(crate) const fn new(server: String, method: Method, path: String) -> Self {
        Self {
            server,
            method,
            path,
            status: None,
            code: None,
            request_id: None,
            failure: None,
        }
    }
}

impl Carried {
    pub(crate) fn new(client: Arc<ClientState>, started: Instant, record: Record) -> Arc<Self> {
        Arc::new(Self {
            client,
            cut: CutSignal::default(),
            progress: Progress::since(started),
            started,
            record: Mutex::new(record),
        })
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange for Carried {
    fn cut_signal(&self) -> &CutSignal {
        &self.cut
    }

    fn is_held(&self) -> bool {
        false
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn client(&self) -> &ClientState {
        &self.client
    }

    /// Whoever holds the token may say anything to the server that the certificate's owner may.
    fn is_reserved(_: &HeaderName) -> bool {
        false
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let bytes = (self.progress.received(), self.progress.sent());
        let duration = self.started.elapsed().as_millis();
        let record = self.record.get_mut();
        let record = record.unwrap_or_else(PoisonError::into_inner);
        let duration_ms = u64::try_from(duration).unwrap_or(u64::MAX);
        say(record, bytes, duration_ms);
    }
}

/// Counts a request, and says how it went: a refusal by the server with its meaning.
fn say(record: &Record, (received, sent): (u64, u64), duration_ms: u64) {
    let Record {
        server,
        method,
        path,
        status,
        code,
        request_id,
        failure,
    } = record;
    let status = status.map_or(0, |status| status.as_u16());
    counter!("countersign_connect_requests_total", "host" => server.clone(), "status" => status.to_string())
        .increment(1);
    let refused = code.as_deref().and_then(ErrorCode::from_code);
    let refused = refused.and_then(|code| Some((code, meaning(code)?)));
    let request_id = request_id.as_deref();
    if let Some(failure) = failure {
        tracing::warn!(
            target: "countersign::access",
            %method, route = path.as_str(), status, server, meaning = failure.as_str(),
            duration_ms, "request"
        );
    } else if let Some((code, meaning)) = refused {
        counter!("countersign_connect_refusals_total", "host" => server.clone(), "code" => code.as_str())
            .increment(1);
        tracing::warn!(
            target: "countersign::access",
            %method, route = path.as_str(), status, server, code = code.as_str(), meaning,
            request_id, duration_ms, "request"
        );
    } else {
        tracing::info!(
            target: "countersign::access",
            %method, route = path.as_str(), status, server, code, request_id,
            received, sent, duration_ms, "request"
        );
    }
}
