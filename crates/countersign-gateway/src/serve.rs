//! The order of one request.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use countersign_types::{error::ErrorCode, id::RequestId};
use http::{
    HeaderValue, Method, Request, Response, Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use hyper::body::Incoming;
use metrics::gauge;

use crate::{
    body::ResponseBody,
    connection::{Authorization, Connection},
    forward::{Answer, Forwarder, Pass, host_of},
    headers,
    identify::{Credential, Identity},
    live::{Live, Stream},
    options::IdentitySource,
    record::Record,
    refusal::Refusal,
    shared::Shared,
    tally::{Observer, Outcome},
};

/// The path under which the control plane's API is reached through the door.
const MANAGEMENT_PATH: &str = "/v1/organization";

/// The door, as one thread sees it.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<Live>,
    pub(crate) routes: Vec<Forwarder>,
    pub(crate) control_plane: Forwarder,
}

type Passed = (Arc<Identity>, Arc<Authorization>);

impl Door {
    /// Serves one request: judges it, hands it on or refuses it, and records what became of it. All
    /// that need not wait is done at once, so that little is kept while the upstream is awaited.
    pub(crate) fn serve(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + use<> {
        connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = self.shared.request_ids.next();
        let id_header = headers::request_id(&id);
        let mut record = Record::new(&id, &request, connection);
        let started = Instant::now();
        let passed = self.pass(&id_header, connection, request, &mut record);
        let (door, connection) = (Arc::clone(self), Arc::clone(connection));
        async move {
            let answered = match passed {
                Err(refusal) => Err(refusal),
                Ok((stream, answer)) => tokio::select! {
                    biased;
                    answer = answer => answer.map(|answer| answer.into_response(stream)),
                    () = stream.until_cut() => Err(door.why_cut(&stream, &mut record)),
                },
            };
            let mut response = answered
                .unwrap_or_else(|refusal| door.refuse(&refusal, &id, &mut record, &connection));
            response
                .headers_mut()
                .insert(headers::REQUEST_ID, id_header);
            door.shared
                .record(&record, response.status(), started.elapsed());
            Ok(response)
        }
    }

    /// Judges a request and, if it passes, sends it on: what is left to do is to await the answer.
    fn pass(
        &self,
        id: &HeaderValue,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<
        (
            Arc<Stream>,
            impl Future<Output = Result<Answer, Refusal>> + use<>,
        ),
        Refusal,
    > {
        refuse_odd_shapes(&request)?;
        let credential = self.credential(&request)?;
        // Registered first, judged second: a change of trust in between finds the stream.
        let stream = self.live.register(Arc::clone(connection), credential);
        let observer = self.shared.observer.as_ref();
        let (identity, authorization) = self.judge(&stream, record, observer)?;
        record.passed(&authorization);
        let route = self.route(&request, &identity)?;
        let pass = Pass {
            authorization: &authorization,
            identity: &identity,
            stream: &stream,
            id,
        };
        let answer = route.forward(&pass, request)?;
        Ok((stream, answer))
    }

    /// The answer to a request that does not pass, counted and told once.
    fn refuse(
        &self,
        refusal: &Refusal,
        id: &RequestId,
        record: &mut Record,
        connection: &Connection,
    ) -> Response<ResponseBody> {
        record.refused(refusal.code, connection);
        self.shared.refuse(refusal, record);
        refusal.response(id)
    }

    /// The control plane knows keys only: what goes there is judged as its key's, even where all
    /// other requests belong to one project.
    fn credential(&self, request: &Request<Incoming>) -> Result<Credential, Refusal> {
        match &self.shared.options.identity {
            IdentitySource::FixedProject(project) if !is_management(request.uri().path()) => {
                Ok(Credential::FixedProject(project.clone()))
            }
            _ => Credential::from_bearer(request.headers())
                .ok_or_else(|| Refusal::new(ErrorCode::InvalidApiKey, "no bearer key was given")),
        }
    }

    /// Judges a stream under what is enforced now; with an observer, as a request that came.
    fn judge(
        &self,
        stream: &Stream,
        record: &mut Record,
        observer: Option<&Observer>,
    ) -> Result<Passed, Refusal> {
        let now = self.shared.now();
        if let Some(reason) = self.shared.too_old(now) {
            return Err(Refusal::new(
                ErrorCode::AuthenticationTemporarilyUnavailable,
                reason,
            ));
        }
        let snapshot = self.shared.snapshot.load();
        let identity = snapshot
            .identity(&stream.credential, now)
            .ok_or_else(|| Refusal::new(ErrorCode::InvalidApiKey, "no such key is in force"))?;
        record.identified(identity);
        let authorization = stream
            .connection
            .authorize(identity, now, observer)
            .inspect_err(|denial| {
                let reported = stream.connection.report(identity, now);
                if let Some(observer) = observer {
                    let refused = Outcome::denied(denial, reported.as_deref());
                    stream.connection.refuse(identity, refused, now, observer);
                }
                record.report(reported);
            })?;
        Ok((Arc::clone(identity), authorization))
    }

    fn why_cut(&self, stream: &Stream, record: &mut Record) -> Refusal {
        self.judge(stream, record, None).err().unwrap_or_else(|| {
            let reason = "trust changed while the upstream was awaited";
            Refusal::new(ErrorCode::AuthenticationTemporarilyUnavailable, reason)
        })
    }

    /// Where a request goes. An admin key opens the control plane's paths and nothing else.
    fn route(
        &self,
        request: &Request<Incoming>,
        identity: &Identity,
    ) -> Result<&Forwarder, Refusal> {
        let path = request.uri().path();
        if is_management(path) {
            return Ok(&self.control_plane);
        }
        if identity.project_header.is_none() {
            let reason = "an admin key opens only the paths under `/v1/organization`";
            return Err(Refusal::new(ErrorCode::InvalidApiKey, reason));
        }
        let host = host_of(request);
        self.routes
            .iter()
            .find(|route| route.serves(host, path))
            .ok_or_else(|| Refusal::new(ErrorCode::NotFound, "no route serves this host and path"))
    }

    /// Judges every live stream again and cuts those that no longer pass.
    pub(crate) fn judge_again(&self, revision: u64, thread: usize) {
        let streams = self.live.streams();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        gauge!("countersign_gateway_live_streams", "thread" => thread.to_string())
            .set(streams.len() as f64);
        for stream in streams {
            let mut record = Record::again(&stream.connection);
            if let Err(refusal) = self.judge(&stream, &mut record, None) {
                self.shared.cut(&refusal);
                stream.cut();
            }
        }
        if let Some(enforced) = self.shared.enforced.get(thread) {
            enforced.store(revision, Ordering::Release);
            self.shared.enforced_changed.notify_waiters();
        }
    }
}

fn is_management(path: &str) -> bool {
    path.strip_prefix(MANAGEMENT_PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Refuses what two servers could read differently, and what no route can carry.
fn refuse_odd_shapes(request: &Request<Incoming>) -> Result<(), Refusal> {
    let bad = |reason| Err(Refusal::new(ErrorCode::BadRequest, reason));
    let headers = request.headers();
    if request.method() == Method::CONNECT {
        return Err(Refusal::new(
            ErrorCode::MethodNotAllowed,
            "`CONNECT` is not served",
        ));
    }
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return bad("both `transfer-encoding` and `content-length`");
    }
    if headers.get_all(http::header::HOST).iter().count() > 1 {
        return bad("more than one `host`");
    }
    if host_of(request).is_some_and(|host| host.contains('@')) {
        return bad("a user in the authority");
    }
    if request.version() == Version::HTTP_11 && host_of(request).is_none() {
        return bad("no `host`");
    }
    if request
        .uri()
        .path()
        .bytes()
        .any(|byte| byte <= b' ' || byte == 0x7f)
    {
        return bad("a control character in the path");
    }
    Ok(())
}
