//! The order of one request: is it let in, carry it, note how it went.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use countersign_proxy::{
    AwaitedResponse, ClientBody, Cut, Exchange as _, HeadFault, MalformedRequest, leave_body,
};
use countersign_types::error::ErrorCode;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, CONNECTION, UPGRADE},
};

use crate::{
    answer::Refusal,
    body::NotedBody,
    carried::{Carried, Record},
    connection::{Connection, Way},
};

/// The path of a request that was not let in: what it has in the place of a token is nobody's business.
const HIDDEN_PATH: &str = "-";

/// Serves one request.
pub(crate) fn serve(
    connection: &Arc<Connection>,
    mut request: Request<ClientBody>,
    fault: Option<HeadFault>,
) -> impl Future<Output = Response<NotedBody>> + Send + use<> {
    let started = Instant::now();
    let ambiguous = request.version() != Version::HTTP_2 && connection.client.begin();
    let (method, version) = (request.method().clone(), request.version());
    let way = Arc::clone(&connection.way);
    let checked = match fault {
        Some(fault) => Err(MalformedRequest::Head(fault).into()),
        None if ambiguous => {
            let reason = "both `transfer-encoding` and `content-length`";
            Err(Refusal::new(ErrorCode::BadRequest, reason))
        }
        None => way.admission.check(&mut request, &way.server),
    };
    let sent = match checked {
        Ok(()) => send(connection, started, request),
        Err(refusal) => {
            leave_body(request.into_body(), version, &connection.client);
            let mut response = refused(connection, started, method, &refusal);
            if ambiguous {
                // Where it ends is a matter of opinion, and so is what follows it.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Err(Box::new(response))
        }
    };
    async move {
        match sent {
            Ok((carried, awaited)) => answer(&way, carried, awaited).await,
            Err(response) => *response,
        }
    }
}

/// The response to a request whose head could not be read, given the status that says why.
pub(crate) fn refuse_unreadable(connection: &Connection, status: StatusCode) -> Response<Bytes> {
    let code = match status {
        StatusCode::BAD_REQUEST => ErrorCode::BadRequest,
        StatusCode::REQUEST_TIMEOUT => ErrorCode::RequestTimeout,
        _ => ErrorCode::HeadersTooLarge,
    };
    connection.client.answer();
    Refusal::new(code, format!("the request's head cannot be read: {status}")).response()
}

/// The answer to a request that is not carried.
fn refused(
    connection: &Connection,
    started: Instant,
    method: Method,
    refusal: &Refusal,
) -> Response<NotedBody> {
    connection.client.answer();
    let response = refusal.response();
    let server = connection.way.server.authority();
    let mut record = Record::new(server, method, HIDDEN_PATH.to_owned());
    record.status = Some(response.status());
    record.failure = Some(refusal.message.clone());
    drop(Carried::new(
        Arc::clone(&connection.client),
        started,
        record,
    ));
    response.map(NotedBody::own)
}

type Sent = (Arc<Carried>, AwaitedResponse<Carried>);

fn send(
    connection: &Arc<Connection>,
    started: Instant,
    request: Request<ClientBody>,
) -> Result<Sent, Box<Response<NotedBody>>> {
    let way = &connection.way;
    let path = request.uri().path().to_owned();
    let record = Record::new(way.server.authority(), request.method().clone(), path);
    let carried = Carried::new(Arc::clone(&connection.client), started, record);
    let key = way.key.as_ref();
    let set_headers = |headers: &mut HeaderMap| {
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, key.header());
        }
    };
    let upgrades = request.headers().contains_key(UPGRADE);
    let forwarder = way.server.forwarder(upgrades);
    match forwarder.forward(&carried, request, set_headers) {
        Ok(awaited) => Ok((carried, awaited)),
        Err(error) => {
            let refusal = Refusal::unanswered(&way.server.described(), &error);
            Err(Box::new(unanswered(&carried, &refusal)))
        }
    }
}

async fn answer(
    way: &Way,
    carried: Arc<Carried>,
    awaited: AwaitedResponse<Carried>,
) -> Response<NotedBody> {
    let forwarded = match carried.carry(awaited.head(&*carried)).await {
        Ok(forwarded) => forwarded.map_err(|error| {
            let error = error.blame(carried.progress());
            Refusal::unanswered(&way.server.described(), &error)
        }),
        Err(Cut) => Err(Refusal::new(
            ErrorCode::Overloaded,
            "this forwarder is ending",
        )),
    };
    carried.client().answer();
    match forwarded {
        Ok(forwarded) => {
            let response = forwarded.into_response(Arc::clone(&carried));
            let id = response.headers().get("x-request-id");
            let id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
            {
                let mut record = carried.record();
                record.status = Some(response.status());
                record.request_id = id;
            }
            NotedBody::of(response, &carried)
        }
        Err(refusal) => unanswered(&carried, &refusal),
    }
}

/// The answer in the place of the server's.
fn unanswered(carried: &Arc<Carried>, refusal: &Refusal) -> Response<NotedBody> {
    let response = refusal.response();
    let mut record = carried.record();
    record.status = Some(response.status());
    record.failure = Some(refusal.message.clone());
    response.map(NotedBody::own)
}
