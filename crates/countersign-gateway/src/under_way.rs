//! A request that was forwarded, from then on until its line is written.

use std::time::Instant;

use http::StatusCode;

use crate::{
    access_log::record::{Ended, Record},
    connection::Connection,
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
}

impl UnderWay {
    pub(crate) const fn new(record: Record, started: Instant) -> Self {
        Self {
            record,
            started: Some(started),
            status: None,
        }
    }

    /// A request that may still be refused: its refusal is logged where it is made.
    pub(crate) fn not_forwarded(connection: &Connection) -> Self {
        Self {
            record: Record::of_connection(connection),
            started: None,
            status: None,
        }
    }

    /// Sets the status of its response, and counts it.
    pub(crate) fn answer(&mut self, status: StatusCode, shared: &Shared) {
        self.status = Some(status);
        shared.count(&self.record);
    }

    /// Logs it, and counts it unless that is done.
    pub(crate) fn end(&mut self, bytes_received: u64, bytes_sent: u64, shared: &Shared) {
        let Some(started) = self.started.take() else {
            return;
        };
        let status = self.status.unwrap_or_else(|| {
            let status = StatusCode::from_u16(CLIENT_CLOSED_REQUEST);
            let status = status.unwrap_or(StatusCode::REQUEST_TIMEOUT);
            self.answer(status, shared);
            status
        });
        let ended = Ended {
            status,
            duration: started.elapsed(),
            bytes_received,
            bytes_sent,
        };
        shared.durations.requests.note(ended.duration);
        shared.log(&self.record, &ended);
    }
}
