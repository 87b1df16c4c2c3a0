//! A request that was forwarded, from then on until its line is written.

use std::{sync::Arc, time::Instant};

use countersign_proxy::{ForwardError, Progress};
use http::StatusCode;

use crate::{
    access_log::record::{Ended, Record},
    connection::Connection,
    operating::upstreams::UpstreamMeters,
    shared::Shared,
};

/// What is logged of a request whose client went away before the response began; nginx's number.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request that was forwarded. It is counted once its response begins, and logged once both its
/// bodies have ended; both also when it is dropped before.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) record: Record,
    /// None until it is forwarded.
    started: Option<Instant>,
    status: Option<StatusCode>,
    /// What its upstream does is counted here; none until it is forwarded.
    upstream: Option<Arc<UpstreamMeters>>,
}

impl UnderWay {
    pub(crate) const fn new(
        record: Record,
        started: Instant,
        upstream: Arc<UpstreamMeters>,
    ) -> Self {
        Self {
            record,
            started: Some(started),
            status: None,
            upstream: Some(upstream),
        }
    }

    /// A request that may still be refused: its refusal is logged where it is made.
    pub(crate) fn not_forwarded(connection: &Connection) -> Self {
        Self {
            record: Record::of_connection(connection),
            started: None,
            status: None,
            upstream: None,
        }
    }

    /// Counts that its upstream answered.
    pub(crate) fn upstream_answered(&self, status: StatusCode) {
        if let (Some(upstream), Some(started)) = (&self.upstream, self.started) {
            upstream.answered(status, started.elapsed());
        }
    }

    /// Counts that its upstream did not answer.
    pub(crate) fn upstream_failed(&self, error: &ForwardError) {
        if let Some(upstream) = &self.upstream {
            upstream.failed(error);
        }
    }

    /// Sets the status of its response, and counts it.
    pub(crate) fn answer(&mut self, status: StatusCode, shared: &Shared) {
        self.status = Some(status);
        shared.count(&self.record);
    }

    /// Logs it, and counts it unless that is done.
    pub(crate) fn end(&mut self, progress: &Progress, shared: &Shared) {
        if self.started.take().is_none() {
            return;
        }
        if let (true, Some(upstream)) = (progress.is_failed_by_upstream(), &self.upstream) {
            upstream.broke_off();
        }
        let status = self.status.unwrap_or_else(|| {
            let status = StatusCode::from_u16(CLIENT_CLOSED_REQUEST);
            let status = status.unwrap_or(StatusCode::REQUEST_TIMEOUT);
            self.answer(status, shared);
            status
        });
        let ended = Ended {
            status,
            duration: progress.duration(),
            bytes_received: progress.received(),
            bytes_sent: progress.sent(),
        };
        shared.durations.requests.note(ended.duration);
        shared.log(&self.record, &ended);
    }
}
