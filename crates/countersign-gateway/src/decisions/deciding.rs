//! One decision: what was sent is read, judged by the same function as a request at the gateway's own
//! listener, counted and logged.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use countersign_types::{error::ErrorCode, id::RequestId};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};

use super::{
    certificate::{Fault, Sent},
    door::Door,
    known_chains::{self, KnownChains},
};
use crate::{
    access_log::record::{Ended, Record},
    admission::{Admission, admit, credential, give_receipt},
    caller::identity::Identity,
    connection::{Arrival, Connection},
    identity_headers::{self, REQUEST_ID, request_id},
    options::{CertificateForm, Limits},
    refusal::refused::Refusal,
    request_span::RequestSpan,
    shared::Shared,
    trace_context,
    verdict::authorization::Authorization,
};

/// What decides at one door, on one thread.
#[derive(Debug)]
pub(crate) struct Deciding {
    thread: usize,
    shared: Arc<Shared>,
    pub(super) door: Arc<Door>,
    known: KnownChains,
}

/// What a proxy asks about. Of its client's request, method and target are only logged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The proxy.
    pub(super) peer: &'a Arc<str>,
    pub(super) method: Option<&'a [u8]>,
    pub(super) target: Option<&'a [u8]>,
    /// The certificate, where it is not in a header.
    pub(super) attribute: Option<&'a str>,
    /// What the proxy says of its own span, where that is not in a header.
    pub(super) traceparent: Option<&'a [u8]>,
}

/// A client, and what its chain is to be known by if that is new.
type Found<'a> = (Arc<Connection>, Option<Cow<'a, [u8]>>);

/// The decision.
#[derive(Debug)]
pub(super) enum Decision {
    Passed(Passed),
    /// What the client is to be told.
    Refused(Response<Bytes>),
}

/// A request that passes.
#[derive(Debug)]
pub(super) struct Passed {
    identity: Arc<Identity>,
    authorization: Arc<Authorization>,
    id: HeaderValue,
    receipt: Option<HeaderValue>,
}

impl Passed {
    /// What the upstream is to be told.
    pub(super) fn headers(&self) -> impl Iterator<Item = (HeaderName, &HeaderValue)> {
        let named = identity_headers::named(&self.identity, &self.authorization);
        let receipt = self.receipt.iter();
        let receipt = receipt.map(|receipt| (identity_headers::RECEIPT, receipt));
        named.chain(receipt).chain([(REQUEST_ID, &self.id)])
    }
}

impl Deciding {
    pub(crate) fn new(thread: usize, shared: Arc<Shared>, door: Arc<Door>) -> Self {
        Self {
            thread,
            shared,
            door,
            known: KnownChains::default(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.options.limits
    }

    pub(super) fn clock(&self) -> crate::shared::Clock {
        Arc::clone(&self.shared.clock)
    }

    /// Decides about a request with these headers.
    pub(super) fn decide<'a, I>(&self, asked: Asked<'a>, headers: impl Fn() -> I) -> Decision
    where
        I: Iterator<Item = (&'a str, &'a [u8])>,
    {
        let started = Instant::now();
        let (mut record, id) = self.record(asked.peer, asked.request(), |record, number| {
            self.trace(record, number, asked, headers());
        });
        let (client, admitted) = match self.client(asked, headers()) {
            Ok((client, key)) => {
                let mut admitted = self.admit(&client, headers(), &mut record);
                let (places, verdict) = (&self.door.receipt, admitted.as_mut().map_err(|no| &*no));
                give_receipt(&self.shared, places, &client, verdict, &mut record);
                if let (Ok(_), Some(key)) = (&admitted, key) {
                    self.known.keep(key.as_ref(), &client);
                }
                (client, admitted)
            }
            Err(fault) => {
                self.door.count_fault(fault);
                let refusal = Refusal::new(ErrorCode::InvalidCertificate, fault.to_string());
                (known_chains::client(Vec::new()), Err(refusal))
            }
        };
        match admitted {
            Ok(admission) => {
                self.note_passed(&mut record, &admission, started.elapsed());
                Decision::Passed(Passed {
                    identity: admission.identity,
                    authorization: admission.authorization,
                    id,
                    receipt: admission.receipt,
                })
            }
            Err(refusal) => {
                let mut response =
                    self.shared
                        .refuse_at_once(&refusal, &mut record, &client, started);
                response.headers_mut().insert(REQUEST_ID, id);
                Decision::Refused(response)
            }
        }
    }

    /// Whether a request is the proxy's.
    pub(super) fn is_proven(&self, headers: &HeaderMap) -> bool {
        self.door.asker.sent(headers)
    }

    /// Refuses a request that is not proven to be the proxy's, whatever it carries.
    pub(super) fn refuse_unproven(&self, peer: &Arc<str>) -> Response<Bytes> {
        self.door.count_unproven();
        // What somebody unknown says of a trace is not taken up.
        let (mut record, id) = self.record(peer, None, |_, _| ());
        let reason = "whoever asks has not proven to be the proxy";
        let refusal = Refusal::new(ErrorCode::AuthenticationTemporarilyUnavailable, reason);
        let nobody = known_chains::client(Vec::new());
        let started = Instant::now();
        let mut response = self
            .shared
            .refuse_at_once(&refusal, &mut record, &nobody, started);
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    fn record(
        &self,
        peer: &Arc<str>,
        asked: Option<(Method, Uri)>,
        trace: impl FnOnce(&mut Record, u128),
    ) -> (Record, HeaderValue) {
        let number = self.shared.request_ids.next_number();
        let id = RequestId::from_random(number);
        let header = request_id(&id);
        let door = self.door.protocol.word();
        let mut record = Record::of_decision(id, door, peer, asked);
        trace(&mut record, number);
        (record, header)
    }

    /// Takes up the proxy's trace, where spans are collected.
    fn trace<'a>(
        &self,
        record: &mut Record,
        number: u128,
        asked: Asked<'a>,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) {
        let Some(spans) = self.shared.spans.as_deref() else {
            return;
        };
        // The proxy's own span is nearer than its client's.
        let own = asked.traceparent.into_iter();
        let of_client = headers
            .filter(|(name, _)| {
                asked.traceparent.is_none() && name.eq_ignore_ascii_case("traceparent")
            })
            .map(|(_, value)| value);
        let setting = self.shared.options.traceparent;
        let said = own.chain(of_client);
        let traced = trace_context::of_decision(said, number, setting, spans);
        record.set_trace(traced.trace);
        record.record_span(traced.span.map(RequestSpan::of_decision));
    }

    /// The client with the chain that was sent, and what it is to be known by if that is new.
    fn client<'a>(
        &self,
        asked: Asked<'a>,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Found<'a>, Fault> {
        let form = self.door.form;
        let mut sent = Sent::among(form, headers)?;
        if form == CertificateForm::EnvoyAttributes {
            sent = Sent::attribute(asked.attribute.unwrap_or_default())?;
        }
        let key = sent.key();
        if let Some(known) = self.known.find(&key) {
            return Ok((known, None));
        }
        if sent.is_none() {
            return Ok((known_chains::client(Vec::new()), Some(key)));
        }
        let chain = sent.read(form)?;
        let (leaf, rest) = chain.split_first().ok_or(Fault::WrongForm("it is empty"))?;
        if !self.door.chains.allow(leaf, rest) {
            return Err(Fault::TooLarge);
        }
        Ok((known_chains::client(chain), Some(key)))
    }

    fn admit<'a>(
        &self,
        client: &Connection,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
        record: &mut Record,
    ) -> Result<Admission, Refusal> {
        let keys = headers.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let keys = keys.map(|(_, value)| value);
        let credential = credential(&self.shared, client, || false, keys)?;
        let arrival = Arrival {
            observer: self.shared.observer.as_ref(),
            shares: &self.shared.shares,
            thread: self.thread,
            takes_place: false,
            clock: &Instant::now,
        };
        let admission = admit(&self.shared, client, &credential, record, Some(&arrival))?;
        if admission.identity.project().is_none() {
            // Where its request goes is not known here.
            let reason = "an admin key is not accepted by the decision service";
            return Err(Refusal::new(ErrorCode::InvalidApiKey, reason));
        }
        Ok(admission)
    }

    fn note_passed(&self, record: &mut Record, admission: &Admission, duration: Duration) {
        record.set_authorization(&admission.authorization);
        self.shared.count(record);
        let ended = Ended {
            status: StatusCode::OK,
            duration,
            bytes_received: 0,
            bytes_sent: 0,
        };
        self.shared.log(record, &ended);
    }
}

impl Asked<'_> {
    /// What the client requested, where the proxy says so.
    fn request(&self) -> Option<(Method, Uri)> {
        let method = Method::from_bytes(self.method?).ok()?;
        let uri = Uri::try_from(self.target?).ok()?;
        Some((method, uri))
    }
}
