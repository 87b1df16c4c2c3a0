//! The access log: one JSON line a request. Never a bearer, never a PEM.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use countersign_types::{certificate::Scope, error::ErrorCode, id::RequestId};
use http::{Request, StatusCode};
use serde::Serialize;

use crate::{
    connection::{Authorization, Connection, Passed, hex},
    identify::Identity,
};

/// The longest path that is logged, in bytes.
const MAX_PATH: usize = 512;

/// What became of one request.
#[derive(Debug, Serialize)]
pub(crate) struct Record {
    time: u64,
    pub(crate) request_id: Option<RequestId>,
    peer: SocketAddr,
    method: String,
    path: String,
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) key: Option<String>,
    certificate: Option<String>,
    /// The revision of the organization that it was judged under.
    revision: Option<u64>,
    pub(crate) leaf_sha256: Option<String>,
    pub(crate) code: Option<&'static str>,
    status: u16,
    duration_us: u64,
}

impl Record {
    /// A record of a request that just came.
    pub(crate) fn new<B>(id: &RequestId, request: &Request<B>, connection: &Connection) -> Self {
        let path = request.uri().path();
        Self {
            request_id: Some(id.clone()),
            method: request.method().as_str().to_owned(),
            path: path
                .get(..path.len().min(MAX_PATH))
                .unwrap_or_default()
                .to_owned(),
            ..Self::again(connection)
        }
    }

    /// A record of a stream that is judged again.
    pub(crate) fn again(connection: &Connection) -> Self {
        Self {
            time: 0,
            request_id: None,
            peer: connection.peer,
            method: String::new(),
            path: String::new(),
            organization: None,
            project: None,
            key: None,
            certificate: None,
            revision: None,
            leaf_sha256: None,
            code: None,
            status: 0,
            duration_us: 0,
        }
    }

    /// Notes who is calling.
    pub(crate) fn identified(&mut self, identity: &Identity) {
        self.organization = Some(identity.organization.id.to_string());
        self.key = identity.key.as_ref().map(ToString::to_string);
        if let Scope::Project(project) = &identity.scope {
            self.project = Some(project.to_string());
        }
    }

    /// Notes what is refused, and which leaf was shown.
    pub(crate) fn refused(&mut self, code: ErrorCode, connection: &Connection) {
        self.code = Some(code.as_str());
        self.leaf_sha256 = connection.leaf_sha256();
    }

    /// Notes what the judge gave.
    pub(crate) fn passed(&mut self, identity: &Identity, authorization: &Authorization) {
        self.identified(identity);
        match &authorization.passed {
            Passed::Open(open) => self.revision = Some(open.revision()),
            Passed::Verified(permit) => {
                self.revision = Some(permit.revision());
                self.certificate = Some(permit.anchor().to_string());
                self.leaf_sha256 = Some(hex(permit.leaf_sha256()));
            }
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

    pub(crate) fn write(
        &self,
        mut record: Record,
        time: u64,
        status: StatusCode,
        duration: Duration,
    ) {
        record.time = time;
        record.status = status.as_u16();
        record.duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let Ok(mut line) = serde_json::to_vec(&record) else {
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
