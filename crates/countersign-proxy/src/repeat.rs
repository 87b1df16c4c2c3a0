//! Sending a request once more: what that takes, and which failures allow it.

use h2::Reason;
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body as _;

use crate::{
    exchange::Exchange,
    request_body::{RequestBody, Returned},
    traffic::Traffic,
};

/// What it takes to send a request once more. hyper hands a request back only if it has not begun
/// to send it.
#[derive(Debug)]
pub(crate) enum Spare<E: Exchange> {
    /// Its head is recorded by the connection that it goes on, and it has no body.
    Recorded,
    Copied(Box<Copied<E>>),
}

/// A copy of a request.
#[derive(Debug)]
pub(crate) struct Copied<E: Exchange> {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    body: Returned<E>,
}

impl<E: Exchange> Spare<E> {
    /// Of a request that is about to go on a connection that records heads.
    pub(crate) fn recorded(request: &mut Request<RequestBody<E>>, traffic: &Traffic) -> Self {
        let bodyless = request.body().is_end_stream();
        request.body().begin_on(traffic, bodyless);
        if bodyless {
            Self::Recorded
        } else {
            Self::Copied(Box::new(Copied::of(request)))
        }
    }

    /// The request as it was, if its body can be sent again whole.
    pub(crate) async fn again(self, traffic: &Traffic) -> Option<Request<RequestBody<E>>> {
        match self {
            Self::Recorded => {
                let interims = traffic.interims();
                let request = traffic.request()?;
                let at_once = traffic.at_once();
                Some(request.map(|()| RequestBody::empty(interims, at_once)))
            }
            Self::Copied(copied) => copied.again().await,
        }
    }
}

impl<E: Exchange> Copied<E> {
    pub(crate) fn of(request: &mut Request<RequestBody<E>>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            body: request.body_mut().lend(),
        }
    }

    /// The request as it was, once its failed sending has let go of the body; none if the body
    /// cannot be sent again whole.
    pub(crate) async fn again(self) -> Option<Request<RequestBody<E>>> {
        let mut request = Request::new(self.body.take().await?);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        Some(request)
    }
}

/// Whether an HTTP/2 upstream says that it has not processed a request, whatever its method: its
/// stream was above the last one of a GOAWAY, or it was refused (RFC 9113 section 8.7).
pub(crate) fn is_unprocessed(error: &h2::Error) -> bool {
    error.is_remote()
        && (error.is_go_away()
            || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)))
}
