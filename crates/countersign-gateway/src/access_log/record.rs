//! What is logged of one request. Never a key, never a PEM body.

use std::{sync::Arc, time::Duration};

use countersign_trace::TraceId;
use countersign_types::{
    digest::Sha256,
    error::ErrorCode,
    id::{ApiKeyId, ProjectId, RequestId},
};
use countersign_verify::permit::Permit;
use http::{HeaderValue, Method, Request, StatusCode, Uri};

use crate::{
    caller::{identity::Identity, organization::Organization},
    connection::Connection,
    json_line::{JsonLine, field},
    log_fields,
    request_span::RequestSpan,
    verdict::{authorization::Authorization, report_only::ReportOnlyVerdict},
};

/// What is set aside for a line. Most are shorter.
const LINE_BYTES: usize = 1024;

/// The longest path that is logged, in bytes.
const MAX_PATH: usize = 512;

/// The word for a verdict that lets a request through.
pub(crate) const PERMIT: &str = "permit";

/// What became of one request. Texts are made only when they are written, which for most requests
/// is never.
#[derive(Debug)]
pub(crate) struct Record {
    /// None for a stream that is judged again.
    id: Option<RequestId>,
    /// The trace that it belongs to, where it does.
    trace: Option<TraceId>,
    /// What is kept for its span, where it is recorded.
    span: Option<Box<RequestSpan>>,
    /// None if the request's head could not be read.
    asked: Option<Asked>,
    /// Where it came in, unless that is the gateway's own listener: the protocol of a decision.
    door: Option<&'static str>,
    peer: Arc<str>,
    identity: Option<Arc<Identity>>,
    authorization: Option<Arc<Authorization>>,
    /// What anchors that are only reported would say, if it is refused.
    report_only: Option<Arc<ReportOnlyVerdict>>,
    /// Why it is refused, and the leaf that was presented.
    refused: Option<(ErrorCode, Option<Sha256>)>,
    /// The organization as it was when it was judged, until it is known whether there is to be a receipt.
    judged_under: Option<Arc<Organization>>,
    receipt: Option<HeaderValue>,
}

/// What was requested.
#[derive(Debug)]
struct Asked {
    method: Method,
    uri: Uri,
}

/// How a request ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: StatusCode,
    /// From its head to the end of both its bodies.
    pub(crate) duration: Duration,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
}

impl Record {
    /// A record of a request that just arrived.
    pub(crate) fn new<B>(
        id: RequestId,
        trace: Option<TraceId>,
        request: &Request<B>,
        connection: &Connection,
    ) -> Self {
        Self {
            trace,
            asked: Some(Asked {
                method: request.method().clone(),
                uri: request.uri().clone(),
            }),
            ..Self::unreadable(id, connection)
        }
    }

    /// A record of a request whose head could not be read.
    pub(crate) fn unreadable(id: RequestId, connection: &Connection) -> Self {
        Self {
            id: Some(id),
            ..Self::of_connection(connection)
        }
    }

    /// A record of a request that another proxy has, and asks about.
    pub(crate) fn of_decision(
        id: RequestId,
        door: &'static str,
        peer: &Arc<str>,
        asked: Option<(Method, Uri)>,
    ) -> Self {
        Self {
            id: Some(id),
            trace: None,
            span: None,
            asked: asked.map(|(method, uri)| Asked { method, uri }),
            door: Some(door),
            peer: Arc::clone(peer),
            identity: None,
            authorization: None,
            report_only: None,
            refused: None,
            judged_under: None,
            receipt: None,
        }
    }

    /// A record of which nothing is known but the connection.
    pub(crate) fn of_connection(connection: &Connection) -> Self {
        Self {
            id: None,
            trace: None,
            span: None,
            asked: None,
            door: None,
            peer: Arc::clone(connection.peer_text()),
            identity: None,
            authorization: None,
            report_only: None,
            refused: None,
            judged_under: None,
            receipt: None,
        }
    }

    /// Sets the trace that it belongs to.
    pub(crate) const fn set_trace(&mut self, trace: Option<TraceId>) {
        self.trace = trace;
    }

    /// Has its span recorded.
    pub(crate) fn record_span(&mut self, span: Option<Box<RequestSpan>>) {
        self.span = span;
    }

    /// Sets which route serves it, by its path.
    pub(crate) fn set_route(&mut self, path: &str) {
        if let Some(span) = &mut self.span {
            span.set_route(path);
        }
    }

    /// What is kept for its span, where it is recorded.
    pub(crate) fn span(&self) -> Option<&RequestSpan> {
        self.span.as_deref()
    }

    /// Sets who is calling.
    pub(crate) fn set_identity(&mut self, identity: &Arc<Identity>) {
        self.identity = Some(Arc::clone(identity));
    }

    /// Sets the organization as it is when the request is judged.
    pub(crate) fn set_judged_under(&mut self, organization: &Arc<Organization>) {
        self.judged_under = Some(Arc::clone(organization));
    }

    /// The organization as it was when the request was judged, if that is kept, and once.
    pub(crate) const fn take_judged_under(&mut self) -> Option<Arc<Organization>> {
        self.judged_under.take()
    }

    /// Sets the receipt that is logged.
    pub(crate) fn set_receipt(&mut self, receipt: Option<HeaderValue>) {
        self.receipt = receipt;
    }

    /// Whether a receipt is logged.
    pub(crate) const fn has_receipt(&self) -> bool {
        self.receipt.is_some()
    }

    /// Who is calling.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// Sets what it is refused with, and which leaf was presented.
    pub(crate) fn set_refused(&mut self, code: ErrorCode, connection: &Connection) {
        self.refused = Some((code, connection.presented().leaf().map(Sha256::of)));
    }

    /// Sets what anchors that are only reported would say about a refused request.
    pub(crate) fn set_report_only(&mut self, verdict: Option<Arc<ReportOnlyVerdict>>) {
        self.report_only = verdict;
    }

    /// What anchors that are only reported would say, where there are any.
    pub(crate) fn report_only(&self) -> Option<&Arc<ReportOnlyVerdict>> {
        let passed = || self.authorization.as_ref()?.report_only.as_ref();
        self.report_only.as_ref().or_else(passed)
    }

    /// Sets what it passes with.
    pub(crate) fn set_authorization(&mut self, authorization: &Arc<Authorization>) {
        self.authorization = Some(Arc::clone(authorization));
    }

    pub(crate) const fn request_id(&self) -> Option<&RequestId> {
        self.id.as_ref()
    }

    /// Where it came in, unless that is the gateway's own listener.
    pub(crate) const fn door(&self) -> Option<&'static str> {
        self.door
    }

    pub(crate) fn method(&self) -> Option<&Method> {
        Some(&self.asked.as_ref()?.method)
    }

    /// Its path, without query.
    pub(crate) fn path(&self) -> Option<&str> {
        let path = self.asked.as_ref()?.uri.path();
        Some(&path[..path.floor_char_boundary(MAX_PATH)])
    }

    /// The address that it came from, without port.
    pub(crate) fn peer_address(&self) -> Option<&str> {
        let (address, _) = self.peer.rsplit_once(':')?;
        Some(address.trim_start_matches('[').trim_end_matches(']'))
    }

    /// What it is refused with.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        self.refused.as_ref().map(|(code, _)| *code)
    }

    pub(crate) fn organization(&self) -> Option<&str> {
        let identity = self.identity.as_ref()?;
        Some(identity.organization.as_str())
    }

    pub(crate) fn project(&self) -> Option<&str> {
        self.identity.as_ref()?.project().map(ProjectId::as_str)
    }

    pub(crate) fn key(&self) -> Option<&str> {
        let identity = self.identity.as_ref()?;
        identity.key.as_ref().map(ApiKeyId::as_str)
    }

    pub(crate) fn leaf_sha256(&self) -> Option<Sha256> {
        match (&self.refused, &self.authorization) {
            (Some((_, leaf)), _) => *leaf,
            (None, Some(passed)) => passed.leaf_sha256(),
            (None, None) => self.report_only()?.leaf_sha256,
        }
    }

    pub(crate) const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    fn permit(&self) -> Option<&Permit> {
        self.authorization.as_ref()?.permit()
    }

    fn revision(&self) -> Option<u64> {
        Some(self.authorization.as_ref()?.revision())
    }

    /// The record as it is written; what is absent has no field. `revision` is the organization's that it was judged under.
    pub(super) fn line(&self, time: u64, ended: &Ended) -> Vec<u8> {
        let mut line = JsonLine::with_capacity(LINE_BYTES);
        line.number(field!("time"), time);
        if let Some(id) = &self.id {
            line.plain(field!("request_id"), id.as_str());
        }
        if let Some(trace) = &self.trace {
            line.plain(field!("trace_id"), trace.as_str());
        }
        if let Some(door) = self.door {
            line.plain(field!("door"), door);
        }
        line.plain(field!("peer"), &self.peer);
        // Always there: whoever reads the log may count on them. A method is a token (RFC 9110 section 9.1).
        line.plain(field!("method"), self.method().map_or("-", Method::as_str));
        line.text(field!("path"), self.path().unwrap_or("-"));
        self.write_caller(&mut line);
        self.write_verdict(&mut line);
        let receipt = self.receipt.as_ref().map(HeaderValue::to_str);
        if let Some(Ok(receipt)) = receipt {
            line.plain(field!("receipt"), receipt);
        }
        line.number(field!("status"), ended.status.as_u16());
        let duration = u64::try_from(ended.duration.as_micros());
        line.number(field!("duration_us"), duration.unwrap_or(u64::MAX));
        line.number(field!("bytes_received"), ended.bytes_received);
        line.number(field!("bytes_sent"), ended.bytes_sent);
        line.end()
    }

    fn write_caller(&self, line: &mut JsonLine) {
        match &self.identity {
            Some(identity) => line.add(identity.log_fields()),
            None => log_fields::write_caller(line, None, None, None),
        }
    }

    fn write_verdict(&self, line: &mut JsonLine) {
        match &self.authorization {
            // Of what is refused, the leaf is the one that was presented.
            Some(passed) if !self.is_refused() => line.add(passed.log_fields()),
            _ => {
                let anchor = self.permit().map(|permit| permit.anchor().as_str());
                log_fields::write_verdict(line, anchor, self.revision(), self.leaf_sha256());
            }
        }
        if let Some((code, _)) = &self.refused {
            line.plain(field!("code"), code.as_str());
        }
        if let Some(reported) = self.report_only() {
            // The verdict if what is only reported were enforced: `permit` or a code.
            let code = reported.code().map_or(PERMIT, ErrorCode::as_str);
            line.plain(field!("report_code"), code);
            if let Some(anchor) = reported.anchor() {
                line.text(field!("report_anchor"), anchor.as_str());
            }
        }
    }
}
