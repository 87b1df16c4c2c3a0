//! `POST /oauth/token`: the order of one exchange, and how it is answered.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use countersign_proxy::{ClientBody, leave_body};
use countersign_types::{
    UnixSeconds,
    error::ErrorCode,
    observation::Der,
    token::{MAX_TOKEN_SECONDS, TokenError, TokenExchange, TokenExchangeRequest},
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use super::{
    asking::Asked,
    places::Place,
    request,
    serving::{KNOWN_WITHIN, Refused, Serving},
    verdict,
};
use crate::{
    caller::credential::Credential, connection::Connection, refusal::refused::Refusal,
    shared::Shared,
};

/// The only path.
const PATH: &str = "/oauth/token";
/// How long an exchange may take, the body and the control plane included.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of a body: what exchanges have is a few hundred.
const MAX_BODY: usize = 4 * 1024;

/// Answers a request under a host name of exchanges; and why it is refused, if it is.
pub(super) async fn answer(
    serving: Serving<'_>,
    request: Request<ClientBody>,
) -> (Response<Bytes>, Option<Refusal>) {
    let exchanged = match timeout(PATIENCE, exchange(&serving, request)).await {
        Ok(exchanged) => exchanged,
        Err(_) => {
            let reason = "neither body nor control plane were done in time".to_owned();
            Err((TokenError::TokenExchangeServerError, reason))
        }
    };
    match exchanged {
        Ok(response) => (response, None),
        Err((error, reason)) => {
            let refusal = Refusal::new(code(error), format!("token exchange: {reason}"));
            (refusal_response(error), Some(refusal))
        }
    }
}

async fn exchange(
    serving: &Serving<'_>,
    request: Request<ClientBody>,
) -> Result<Response<Bytes>, Refused> {
    let (shared, connection) = (serving.shared, serving.connection);
    let (head, body) = request.into_parts();
    if let Err(refused) = check(&head) {
        leave_body(body, head.version, &connection.client);
        return Err(refused);
    }
    let body = read(body, head.version, connection).await?;
    let wanted = request::read(&body);
    let wanted = wanted.map_err(|(error, reason)| (error, reason.to_owned()))?;
    let presented = connection.presented();
    if presented.leaf().is_none() {
        let reason = "no client certificate was presented".to_owned();
        return Err((TokenError::InvalidSubjectToken, reason));
    }
    let verified = verdict::verify(serving, &wanted).await?;
    let places = &shared.exchange_places;
    let place = places.take(&verified.organization, verified.leaf).await;
    let chain = presented
        .leaf()
        .into_iter()
        .chain(presented.intermediates());
    let asked = TokenExchangeRequest {
        identity_provider_id: wanted.identity_provider_id,
        service_account_id: wanted.service_account_id,
        chain: chain.map(|der| Der(der.to_vec())).collect(),
    };
    match ask(shared, asked, place).await? {
        TokenExchange::Refused { error, reason } => Err((error, reason)),
        TokenExchange::Issued {
            access_token,
            expires_at,
            scope,
        } => {
            let token = access_token.reveal();
            // Whether it is known in time or not, the token is good.
            let _ = timeout(KNOWN_WITHIN, known(shared, token.as_bytes())).await;
            issued(token, expires_at, scope, shared.now())
        }
    }
}

/// The whole body, which is small.
async fn read(
    mut body: ClientBody,
    version: Version,
    connection: &Connection,
) -> Result<Vec<u8>, Refused> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err((TokenError::InvalidRequest, "the body broke off".to_owned()));
        };
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(data);
        }
        if read.len() > MAX_BODY {
            leave_body(body, version, &connection.client);
            let reason = format!("the body has more than {MAX_BODY} bytes");
            return Err((TokenError::InvalidRequest, reason));
        }
    }
    Ok(read)
}

/// Refuses what is no exchange by its head.
fn check(head: &Parts) -> Result<(), Refused> {
    if head.method != Method::POST || head.uri.path() != PATH || head.uri.query().is_some() {
        let reason = "another method or path".to_owned();
        return Err((TokenError::Forbidden, reason));
    }
    let invalid = |reason: &str| Err((TokenError::InvalidRequest, reason.to_owned()));
    if head.headers.contains_key(AUTHORIZATION) {
        return invalid("there is an `authorization` header");
    }
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let kind = kind.and_then(|kind| kind.split(|byte| *byte == b';').next());
    if !kind.is_some_and(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json")) {
        return invalid("the body is not `application/json`");
    }
    Ok(())
}

async fn ask(
    shared: &Shared,
    request: TokenExchangeRequest,
    place: Option<Place>,
) -> Result<TokenExchange, Refused> {
    let failed = |reason: &str| (TokenError::TokenExchangeServerError, reason.to_owned());
    let place = place.ok_or_else(|| failed("the gateway ends"))?;
    let (answer, answered) = oneshot::channel();
    let asking = shared.asking.as_ref();
    let asking = asking.ok_or_else(|| failed("nothing asks the control plane"))?;
    asking
        .try_send(Asked {
            request,
            answer,
            place,
        })
        .map_err(|_| failed("the gateway ends"))?;
    let answered = answered.await.map_err(|_| failed("the gateway ends"))?;
    answered.map_err(|why| failed(&format!("the control plane did not decide: {why}")))
}

/// Waits until this gateway would believe a token: the control plane may know of a rule before it does, and
/// the client calls at once.
async fn known(shared: &Shared, token: &[u8]) {
    loop {
        let mut changed = pin!(shared.enforced_changed.notified());
        changed.as_mut().enable();
        if believes(shared, token) {
            return;
        }
        changed.await;
    }
}

fn believes(shared: &Shared, token: &[u8]) -> bool {
    let (snapshot, now) = (shared.snapshot.load(), shared.now());
    let found = shared.tokens.find(token, &snapshot, now);
    let credential = found.map(Credential::Token);
    credential.is_some_and(|credential| snapshot.caller(&credential, now).is_some())
}

fn issued(
    token: &str,
    expires_at: UnixSeconds,
    scope: Option<String>,
    now: UnixSeconds,
) -> Result<Response<Bytes>, Refused> {
    let expires_in = expires_at.saturating_sub(now).min(MAX_TOKEN_SECONDS);
    if expires_in == 0 {
        let reason = "the token has expired already: clocks differ".to_owned();
        return Err((TokenError::TokenExchangeServerError, reason));
    }
    let mut body = json!({
        "access_token": token,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": expires_in,
        "expires_at": expires_at,
    });
    if let (Some(scope), Some(body)) = (scope, body.as_object_mut()) {
        body.insert("scope".to_owned(), scope.into());
    }
    Ok(response(StatusCode::OK, &body))
}

fn refusal_response(error: TokenError) -> Response<Bytes> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let body = json!({ "error": error.as_str(), "error_description": error.description() });
    let mut response = response(status, &body);
    if error == TokenError::TokenExchangeServerError {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(1));
    }
    response
}

fn response(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // RFC 6749, section 5.1.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// How a refused exchange is counted and logged.
const fn code(error: TokenError) -> ErrorCode {
    match error {
        TokenError::InvalidSubjectToken => ErrorCode::CertificateVerificationFailed,
        TokenError::InvalidGrant => ErrorCode::InvalidApiKey,
        TokenError::InvalidRequest | TokenError::UnsupportedGrantType => ErrorCode::BadRequest,
        TokenError::Forbidden => ErrorCode::NotFound,
        TokenError::TokenExchangeServerError => ErrorCode::AuthenticationTemporarilyUnavailable,
    }
}
