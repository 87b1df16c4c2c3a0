//! The access log: one JSON line a request. Never a bearer, never a PEM.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use countersign_types::{
    digest::Sha256,
    error::ErrorCode,
    id::{ApiKeyId, ProjectId, RequestId},
};
use countersign_verify::permit::Permit;
use http::{Method, Request, StatusCode, Uri};
use serde::Serialize;

use crate::{
    connection::{Authorization, Connection, Passed},
    identify::Identity,
    reported::Reported,
};

/// The longest path that is logged, in bytes.
const MAX_PATH: usize = 512;

/// The word for a verdict that lets a request through.
pub(crate) const PERMIT: &str = "permit";

/// What became of one request. It holds what is known as it is: texts are made only when they are
/// written, which is for most requests never.
#[derive(Debug)]
pub(crate) struct Record {
    asked: Option<Asked>,
    peer: SocketAddr,
    identity: Option<Arc<Identity>>,
    authorization: Option<Arc<Authorization>>,
    /// What anchors that are only reported would make of it, when it is refused.
    reported: Option<Arc<Reported>>,
    /// Why it is refused, and the leaf that was shown.
    refused: Option<(ErrorCode, Option<Sha256>)>,
}

/// What was asked for.
#[derive(Debug)]
struct Asked {
    id: RequestId,
    method: Method,
    uri: Uri,
}

/// A record as it is written.
#[derive(Serialize)]
struct Line<'a> {
    time: u64,
    request_id: Option<&'a str>,
    peer: SocketAddr,
    method: &'a str,
    path: &'a str,
    organization: Option<&'a str>,
    project: Option<&'a str>,
    key: Option<&'a str>,
    certificate: Option<&'a str>,
    /// The revision of the organization that it was judged under.
    revision: Option<u64>,
    leaf_sha256: Option<Sha256>,
    code: Option<&'static str>,
    /// What it would be if what is only reported were enforced: `permit` or a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    report_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_anchor: Option<&'a str>,
    status: u16,
    duration_us: u64,
}

impl Record {
    /// A record of a request that just came.
    pub(crate) fn new<B>(id: &RequestId, request: &Request<B>, connection: &Connection) -> Self {
        Self {
            asked: Some(Asked {
                id: id.clone(),
                method: request.method().clone(),
                uri: request.uri().clone(),
            }),
            ..Self::again(connection)
        }
    }

    /// A record of a stream that is judged again.
    pub(crate) const fn again(connection: &Connection) -> Self {
        Self {
            asked: None,
            peer: connection.peer,
            identity: None,
            authorization: None,
            reported: None,
            refused: None,
        }
    }

    /// Notes who is calling.
    pub(crate) fn identified(&mut self, identity: &Arc<Identity>) {
        self.identity = Some(Arc::clone(identity));
    }

    /// Notes what is refused, and which leaf was shown.
    pub(crate) fn refused(&mut self, code: ErrorCode, connection: &Connection) {
        self.refused = Some((code, connection.leaf_sha256()));
    }

    /// Notes what anchors that are only reported would make of a refused request.
    pub(crate) fn report(&mut self, reported: Option<Arc<Reported>>) {
        self.reported = reported;
    }

    /// What anchors that are only reported would make of it, where there are any.
    pub(crate) fn reported(&self) -> Option<&Arc<Reported>> {
        let passed = || self.authorization.as_ref()?.reported.as_ref();
        self.reported.as_ref().or_else(passed)
    }

    /// Notes what the judge gave.
    pub(crate) fn passed(&mut self, authorization: &Arc<Authorization>) {
        self.authorization = Some(Arc::clone(authorization));
    }

    pub(crate) fn request_id(&self) -> Option<&RequestId> {
        self.asked.as_ref().map(|asked| &asked.id)
    }

    pub(crate) fn organization(&self) -> Option<&str> {
        let identity = self.identity.as_ref()?;
        Some(identity.organization.id.as_str())
    }

    pub(crate) fn project(&self) -> Option<&str> {
        let scope = &self.identity.as_ref()?.scope;
        scope.project().map(ProjectId::as_str)
    }

    pub(crate) fn key(&self) -> Option<&str> {
        let identity = self.identity.as_ref()?;
        identity.key.as_ref().map(ApiKeyId::as_str)
    }

    pub(crate) fn leaf_sha256(&self) -> Option<Sha256> {
        match &self.refused {
            Some((_, leaf)) => *leaf,
            None => match self.permit() {
                Some(permit) => Some(permit.leaf_sha256()),
                None => self.reported()?.leaf_sha256,
            },
        }
    }

    pub(crate) const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    fn permit(&self) -> Option<&Permit> {
        match &self.authorization.as_ref()?.passed {
            Passed::Verified(permit) => Some(permit),
            Passed::Open(_) => None,
        }
    }

    fn revision(&self) -> Option<u64> {
        Some(match &self.authorization.as_ref()?.passed {
            Passed::Verified(permit) => permit.revision(),
            Passed::Open(open) => open.revision(),
        })
    }

    fn line(&self, time: u64, status: StatusCode, duration: Duration) -> Line<'_> {
        let asked = self.asked.as_ref();
        let path = asked.map_or("", |asked| asked.uri.path());
        let reported = self.reported();
        Line {
            time,
            request_id: self.request_id().map(RequestId::as_str),
            peer: self.peer,
            method: asked.map_or("", |asked| asked.method.as_str()),
            path: path.get(..path.len().min(MAX_PATH)).unwrap_or_default(),
            organization: self.organization(),
            project: self.project(),
            key: self.key(),
            certificate: self.permit().map(|permit| permit.anchor().as_str()),
            revision: self.revision(),
            leaf_sha256: self.leaf_sha256(),
            code: self.refused.as_ref().map(|(code, _)| code.as_str()),
            report_code: reported.map(|reported| reported.code().map_or(PERMIT, ErrorCode::as_str)),
            report_anchor: reported.and_then(|reported| Some(reported.anchor()?.as_str())),
            status: status.as_u16(),
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// Where records go.
#[derive(Debug)]
pub(crate) struct AccessLog(Mutex<io::BufWriter<File>>);

impl AccessLog {
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Arc::new(Self(Mutex::new(io::BufWriter::with_capacity(
            64 * 1024,
            file,
        )))))
    }

    pub(crate) fn write(&self, record: &Record, time: u64, status: StatusCode, duration: Duration) {
        let Ok(mut line) = serde_json::to_vec(&record.line(time, status, duration)) else {
            return;
        };
        line.push(b'\n');
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop the traffic; the flush reports it.
        let _ = log.write_all(&line);
    }

    /// Writes out what is buffered.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush()
    }
}
