//! What all threads of a gateway share.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_trace::Spans;
use countersign_types::{UnixSeconds, id::GatewayId, request_ids::RequestIds};
use http::Response;
use tokio::sync::{Notify, SetOnce, mpsc};

use crate::{
    access_log::{
        file::AccessLog,
        record::{Ended, Record},
    },
    caller::{snapshot::Snapshot, token::Token, tokens::Tokens},
    connection::Connection,
    contact::Contact,
    finished_span,
    observing::tally::Observer,
    operating::{durations::Durations, health::Health},
    options::GatewayOptions,
    project_requests::ProjectRequests,
    receipts::giving::Receipts,
    refusal::{refusals::Refusals, refused::Refusal},
    shares::Shares,
    token_exchange::{asking::Asked, places::Places, public_keys::PublicKeys},
    unauthenticated::UnauthenticatedConnections,
};

/// Reads the time.
pub type Clock = Arc<dyn Fn() -> UnixSeconds + Send + Sync>;

/// What all threads of a gateway share.
pub(crate) struct Shared {
    pub(crate) options: GatewayOptions,
    pub(crate) id: GatewayId,
    pub(crate) clock: Clock,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    /// Whether this process serves as it should.
    pub(crate) health: Health,
    /// When the control plane last said that the snapshot is right.
    pub(crate) contact: Contact,
    /// The change up to which each thread has judged its live streams, counted by `sync`.
    pub(crate) enforced: Vec<AtomicU64>,
    pub(crate) enforced_changed: Notify,
    pub(crate) request_ids: RequestIds,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) refusals: Refusals,
    /// None where nothing is observed.
    pub(crate) observer: Option<Observer>,
    pub(crate) shares: Shares,
    /// What organizations may take for judging the chains of exchanges. Whoever knows the ids of a provider and
    /// a service account has chains judged, without a key: that must not take of what their requests need.
    pub(crate) exchange_shares: Shares,
    /// The places of exchanges at the control plane.
    pub(crate) exchange_places: Arc<Places>,
    pub(crate) unauthenticated: Arc<UnauthenticatedConnections>,
    pub(crate) durations: Durations,
    /// Where spans go; none unless they are collected.
    pub(crate) spans: Option<Arc<Spans>>,
    /// None where requests are not counted by project.
    pub(crate) project_requests: Option<ProjectRequests>,
    /// The tokens that were verified.
    pub(crate) tokens: Tokens,
    pub(crate) public_keys: PublicKeys,
    /// Asks the control plane about exchanges; none where nothing does.
    pub(crate) asking: Option<mpsc::Sender<Asked>>,
    /// Not there until something asks for receipts: when the gateway starts, or at a reload.
    pub(crate) receipts: SetOnce<Receipts>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn now(&self) -> UnixSeconds {
        (self.clock)()
    }

    /// Why nothing may pass now: the control plane never answered, or too long ago.
    pub(crate) fn too_old(&self, now: UnixSeconds) -> Option<String> {
        let limit = self.options.limits.max_bundle_age;
        self.contact.too_old(now, limit)
    }

    /// The token of this text, if it is one.
    pub(crate) fn token(&self, text: &[u8]) -> Option<Arc<Token>> {
        self.tokens.find(text, &self.snapshot.load(), self.now())
    }

    /// What is counted here and not by the recorder, as Prometheus reads it.
    pub(crate) fn metrics_text(&self) -> String {
        let mut text = self.durations.text();
        if let Some(requests) = &self.project_requests {
            requests.show(&mut text);
        }
        text
    }

    /// The response to a request that does not pass, which is counted and logged here, once.
    pub(crate) fn refuse(
        &self,
        refusal: &Refusal,
        record: &mut Record,
        connection: &Connection,
    ) -> Response<Bytes> {
        record.set_refused(refusal.code, connection);
        self.refusals.refuse(refusal, record, self.now());
        self.envelope(refusal, record)
    }

    /// What a client is told.
    pub(crate) fn envelope(&self, refusal: &Refusal, record: &Record) -> Response<Bytes> {
        match record.request_id() {
            Some(id) => refusal.envelope(id),
            None => refusal.envelope(&self.request_ids.next()),
        }
    }

    /// Refuses a request that was not forwarded: all of it is done here.
    pub(crate) fn refuse_at_once(
        &self,
        refusal: &Refusal,
        record: &mut Record,
        connection: &Connection,
        started: Instant,
    ) -> Response<Bytes> {
        let response = self.refuse(refusal, record, connection);
        self.end(record, &response, started);
        response
    }

    /// Counts and logs a request that is answered here.
    pub(crate) fn end(&self, record: &Record, response: &Response<Bytes>, started: Instant) {
        let ended = Ended {
            status: response.status(),
            duration: started.elapsed(),
            bytes_received: 0,
            bytes_sent: u64::try_from(response.body().len()).unwrap_or(u64::MAX),
        };
        self.count(record);
        self.log(record, &ended);
    }

    /// Counts what became of a request. A refusal is counted where it is made.
    pub(crate) fn count(&self, record: &Record) {
        if !record.is_refused() {
            self.refusals.count_passed(record.door());
        }
        if let (Some(requests), Some(project)) = (&self.project_requests, record.project()) {
            requests.count(project, record.is_refused());
        }
        if let Some(verdict) = record.report_only() {
            self.refusals.report(verdict, record, self.now());
        }
    }

    /// Logs how a request ended, and hands its span on.
    pub(crate) fn log(&self, record: &Record, ended: &Ended) {
        if let Some(spans) = &self.spans {
            finished_span::hand_over(record, ended, spans);
        }
        if let Some(log) = &self.access_log {
            log.write(record, self.now(), ended);
        }
    }
}

#[cfg(test)]
impl Shared {
    /// What one thread has that serves this snapshot, at a time when everything minted is valid.
    pub(crate) fn of(snapshot: Snapshot) -> Arc<Self> {
        Self::at(snapshot, 1_800_000_000)
    }

    /// The same at another time.
    pub(crate) fn at(snapshot: Snapshot, now: UnixSeconds) -> Arc<Self> {
        let options: GatewayOptions = serde_json::from_value(serde_json::json!({
            "listen": "127.0.0.1:0",
            "certificate": "", "private_key": "", "key_file": "", "data_dir": "",
            "control_plane": "http://127.0.0.1:9/v1",
            "routes": [],
        }))
        .expect("options");
        let contact = Contact::default();
        contact.note(now);
        Arc::new(Self {
            shares: Shares::new(options.limits.shares(1), 1),
            exchange_shares: Shares::new(options.limits.shares(1), 1),
            exchange_places: Arc::default(),
            unauthenticated: Arc::default(),
            options,
            id: GatewayId::from_random(0),
            clock: Arc::new(move || now),
            snapshot: ArcSwap::from_pointee(snapshot),
            health: Health::new(1),
            contact,
            enforced: vec![AtomicU64::new(0)],
            enforced_changed: Notify::new(),
            request_ids: RequestIds::new(0),
            access_log: None,
            refusals: Refusals::new([]),
            observer: None,
            durations: Durations::default(),
            spans: None,
            project_requests: None,
            tokens: Tokens::default(),
            public_keys: PublicKeys::default(),
            asking: None,
            receipts: SetOnce::new(),
        })
    }
}
