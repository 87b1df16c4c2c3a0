//! The order of one request: who is calling, register, judge, forward or refuse, log.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use countersign_proxy::{Cut, Exchange as _, ResponseBody, check_shape, host_of};
use countersign_types::{error::ErrorCode, id::RequestId};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;

use crate::{
    admission::{Admission, admit},
    caller::{credential::Credential, identity::Identity},
    connection::{Arrival, Connection},
    forwarding::forward::{Forwarder, Forwarding, Permitted},
    identity_headers::{REQUEST_ID, request_id},
    live::stream::{LiveStreams, Stream},
    options::IdentitySource,
    record::Record,
    refusal::refused::Refusal,
    shared::Shared,
};

/// The path under which the control plane's API is reached through the gateway.
const MANAGEMENT_PATH: &str = "/v1/organization";

/// What one thread serves requests with.
#[derive(Debug)]
pub(crate) struct Frontend {
    /// Which thread this is.
    pub(crate) thread: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<LiveStreams>,
    pub(crate) routes: Vec<Forwarder>,
    pub(crate) control_plane: Forwarder,
}

impl Frontend {
    /// Serves one request: judges it, forwards or refuses it, and logs what became of it. What need
    /// not wait is done before the future is made, so that the future is small: there is one for
    /// each request that awaits its upstream.
    pub(crate) fn serve(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<ResponseBody<Stream>>, Infallible>> + Send + use<>
    {
        connection.requests.fetch_add(1, Ordering::Relaxed);
        let id = self.shared.request_ids.next();
        let id_header = request_id(&id);
        let mut record = Record::new(&id, &request, connection);
        let started = Instant::now();
        let sent = self.send(&id_header, connection, request, &mut record);
        let (frontend, connection) = (Arc::clone(self), Arc::clone(connection));
        async move {
            let forwarded = match sent {
                Err(refusal) => Err(refusal),
                Ok((stream, response)) => match stream.carry(response).await {
                    Ok(forwarded) => forwarded.map(|forwarded| forwarded.into_response(stream)),
                    Err(Cut) => Err(frontend.why_cut(&stream, &mut record)),
                },
            };
            let mut response = forwarded
                .unwrap_or_else(|refusal| frontend.refuse(&refusal, &id, &mut record, &connection));
            response.headers_mut().insert(REQUEST_ID, id_header);
            frontend
                .shared
                .finish(&record, response.status(), started.elapsed());
            Ok(response)
        }
    }

    /// Judges a request and, if it passes, sends it: what is left to do is to await the response.
    fn send(
        &self,
        id: &HeaderValue,
        connection: &Arc<Connection>,
        request: Request<Incoming>,
        record: &mut Record,
    ) -> Result<(Arc<Stream>, Forwarding), Refusal> {
        check_shape(&request)?;
        let credential = self.credential(&request)?;
        // Registered first, judged second: a change of trust in between finds the stream, and
        // judges it again.
        let stream = self.live.register(Arc::clone(connection), credential);
        let arrival = Arrival {
            observer: self.shared.observer.as_ref(),
            shares: &self.shared.shares,
            thread: self.thread,
        };
        let Admission {
            identity,
            authorization,
            place,
        } = admit(
            &self.shared,
            connection,
            &stream.credential,
            record,
            Some(&arrival),
        )?;
        if let Some(place) = place {
            stream.keep(place);
        }
        record.set_authorization(&authorization);
        let route = self.route(&request, &identity)?;
        let permitted = Permitted {
            authorization: &authorization,
            identity: &identity,
            stream: &stream,
            request_id: id,
        };
        let response = route.forward(&permitted, request)?;
        Ok((stream, response))
    }

    /// The response to a request that does not pass, which is counted and logged here, once.
    fn refuse(
        &self,
        refusal: &Refusal,
        id: &RequestId,
        record: &mut Record,
        connection: &Connection,
    ) -> Response<ResponseBody<Stream>> {
        record.set_refused(refusal.code, connection);
        self.shared
            .refusals
            .refuse(refusal, record, self.shared.now());
        refusal.response(id)
    }

    /// How the caller is looked up. The control plane knows only keys: a request to it is judged by
    /// its key, even where all other requests belong to one project.
    fn credential(&self, request: &Request<Incoming>) -> Result<Credential, Refusal> {
        match &self.shared.options.identity {
            IdentitySource::FixedProject(project) if !is_management(request.uri().path()) => {
                Ok(Credential::FixedProject(project.clone()))
            }
            _ => Credential::from_bearer(request.headers()).ok_or_else(|| {
                Refusal::new(ErrorCode::InvalidApiKey, "the request has no bearer key")
            }),
        }
    }

    /// What to tell a client whose stream was cut: why it does not pass now.
    fn why_cut(&self, stream: &Stream, record: &mut Record) -> Refusal {
        let judged = admit(
            &self.shared,
            &stream.connection,
            &stream.credential,
            record,
            None,
        );
        // It may pass again by now, and was cut all the same: its request may be half sent.
        judged.err().unwrap_or_else(|| {
            let reason = "trust changed while waiting for the upstream";
            Refusal::new(ErrorCode::AuthenticationTemporarilyUnavailable, reason)
        })
    }

    /// Where a request goes. An admin key is for the control plane's paths and nothing else.
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
            let reason = "an admin key is accepted only for paths under `/v1/organization`";
            return Err(Refusal::new(ErrorCode::InvalidApiKey, reason));
        }
        let host = host_of(request);
        self.routes
            .iter()
            .find(|route| route.serves(host, path))
            .ok_or_else(|| Refusal::new(ErrorCode::NotFound, "no route serves this host and path"))
    }
}

fn is_management(path: &str) -> bool {
    path.strip_prefix(MANAGEMENT_PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
