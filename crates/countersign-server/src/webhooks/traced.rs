//! Attempts as spans, where these are collected: each begins a trace, of which its receiver is told. What is
//! said of them has no URL, which may be a secret.

use std::{sync::Arc, time::Instant};

use countersign_trace::{Ids, Side, Span, Spans, Value};
use http::{HeaderValue, StatusCode};

use super::send::Failure;
use crate::store::{Due, Sources};

/// The span of an attempt that is under way.
pub(super) struct Traced {
    spans: Arc<Spans>,
    ids: Ids,
    began: Instant,
    recorded: bool,
}

impl Traced {
    pub(super) fn begin(spans: &Arc<Spans>, sources: &Sources) -> Option<Self> {
        let mut drawn = [0; 16];
        (sources.random)(&mut drawn).ok()?;
        let ids = Ids::of(u128::from_be_bytes(drawn));
        Some(Self {
            recorded: spans.samples(None, &ids.trace),
            spans: Arc::clone(spans),
            ids,
            began: Instant::now(),
        })
    }

    /// What the receiver is told.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&self.ids.header(self.recorded)).ok()
    }

    /// Hands the span on, if it is recorded.
    pub(super) fn end(self, due: &Due, sent: &Result<StatusCode, Failure>) {
        if !self.recorded {
            return;
        }
        let mut attributes = vec![
            ("http.request.method", Value::from("POST")),
            ("countersign.webhook", Value::from(due.webhook.as_str())),
            ("countersign.delivery", Value::from(due.id.as_str())),
        ];
        let failed = match sent {
            Ok(status) => {
                attributes.push(("http.response.status_code", Value::from(status.as_u16())));
                (!status.is_success()).then(|| status.as_str().to_owned())
            }
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(failed) = &failed {
            attributes.push(("error.type", Value::from(failed.as_str())));
        }
        self.spans.offer(Span {
            trace: self.ids.trace,
            id: self.ids.span,
            parent: None,
            side: Side::Client,
            name: "POST webhook".to_owned(),
            time: self.spans.time_of(self.began.elapsed()),
            attributes,
            failed: failed.is_some(),
        });
    }
}
