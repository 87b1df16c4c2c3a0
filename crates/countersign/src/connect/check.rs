//! `--check`: sends one harmless request on the way that tools' requests go, and says what the server makes
//! of it.

use std::sync::Arc;

use bytes::Bytes;
use countersign_connect::{ApiKey, Forwarder, Listener, Mode, Options, OwnHosts, Server, meaning};
use countersign_types::error::{ErrorCode, ErrorResponse};
use http::{Request, Response, header::HOST};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;

use super::{ca_files::cannot_vouch, host_flags::Base, identity::Identity};
use crate::{
    clock,
    failure::{CommandResult, Doing, Failure},
    output::{Output, note, printable},
};

/// What is asked for: a list that every server of this kind of API has, and that costs little.
const ASKED_FOR: &str = "/models";

/// The longest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;

/// What a server made of the request.
#[derive(Serialize)]
struct Finding {
    server: String,
    passes: bool,
    /// Whether the server asked for a client certificate.
    certificate_requested: bool,
    status: u16,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
}

/// Asks each server; fails if any of them would refuse.
pub(super) async fn run(
    servers: &[Arc<Server>],
    base: &Base,
    key: Option<ApiKey>,
    identities: &[Identity],
    output: Output,
) -> CommandResult {
    for identity in identities {
        note(&format!("it {}", identity.sentence()));
    }
    let version = if base.path.is_empty() {
        "/v1"
    } else {
        &base.path
    };
    let path = format!("{version}{ASKED_FOR}");
    let mut findings = Vec::new();
    for server in servers {
        findings.push(ask(server, &path, key.clone()).await?);
    }
    if output.is_table() {
        for finding in &findings {
            output.text(&finding.told(&path, key.is_some()))?;
        }
    } else {
        output.value(&findings)?;
    }
    if findings.iter().all(|finding| finding.passes) {
        return Ok(());
    }
    Err(Failure::quiet(1))
}

async fn ask(server: &Arc<Server>, path: &str, key: Option<ApiKey>) -> CommandResult<Finding> {
    let listener = Listener::port(([127, 0, 0, 1], 0).into())
        .await
        .doing("check")?;
    let address = listener.address();
    let address = address.ok_or_else(|| Failure::new("cannot listen on a port of this machine"))?;
    let mut random = [0; 16];
    (countersign_server::store::Sources::system().random)(&mut random)?;
    let token = countersign_connect::Token::new(&data_encoding::HEXLOWER.encode(&random));
    let target = token.as_ref().map(|token| token.path_prefix() + path);
    let options = Options {
        mode: Mode::BaseUrl {
            server: Arc::clone(server),
            hosts: OwnHosts::Known(Vec::new()),
        },
        token,
        key,
        clock: clock::now,
    };
    let forwarder = Forwarder::new(options).map_err(|error| cannot_vouch(&error))?;
    let serving = tokio::spawn(async move { forwarder.serve(listener).await });
    let answer = get(address, &target.unwrap_or_default()).await;
    serving.abort();
    let answer = answer?;
    Ok(Finding::of(server, &answer))
}

async fn get(address: std::net::SocketAddr, target: &str) -> CommandResult<Response<Bytes>> {
    let stream = TcpStream::connect(address).await.doing("check")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .doing("check")?;
    tokio::spawn(connection);
    let request = Request::get(target)
        .header(HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .doing("check")?;
    let response = sender.send_request(request).await.doing("check")?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    // An answer that is too long is none of a refusal.
    let body = body.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    Ok(Response::from_parts(head, body))
}

impl Finding {
    fn of(server: &Server, answer: &Response<Bytes>) -> Self {
        let error = serde_json::from_slice::<ErrorResponse>(answer.body()).ok();
        let error = error.map(|answer| answer.error);
        let code = error.as_ref().and_then(|error| error.code.clone());
        let known = code.as_deref().and_then(ErrorCode::from_code);
        let is_own = error
            .as_ref()
            .is_some_and(|error| error.message.starts_with("countersign connect:"));
        let refuses = known.is_some_and(|code| meaning(code).is_some());
        let id = answer.headers().get("x-request-id");
        Self {
            server: format!("https://{}", server.authority()),
            passes: !is_own && !refuses,
            certificate_requested: server.asked_for_certificate(),
            status: answer.status().as_u16(),
            code,
            message: error.map(|error| error.message),
            request_id: id.and_then(|id| id.to_str().ok()).map(str::to_owned),
        }
    }

    /// The same for people.
    fn told(&self, path: &str, has_key: bool) -> String {
        let Self { server, status, .. } = self;
        let message = printable(self.message.as_deref().unwrap_or_default());
        let code = self.code.as_deref().unwrap_or_default();
        let known = ErrorCode::from_code(code).and_then(|code| Some((code, meaning(code)?)));
        let mut text = match known {
            _ if self.passes => {
                format!("{server} would let requests pass: it answered {status} to GET {path}")
            }
            Some((code, meaning)) if message.starts_with("countersign connect:") => {
                format!("{server}: {} ({meaning})", code.as_str())
            }
            Some((code, meaning)) => {
                let id = self.request_id.as_deref().unwrap_or("-");
                format!(
                    "{server} refuses: {} ({status}): {meaning}\n  it says: {message}\n  request id: {}",
                    code.as_str(),
                    printable(id)
                )
            }
            None => message,
        };
        if !self.certificate_requested && status != &502 && status != &504 {
            text += "\n  it did not ask for a client certificate";
        }
        if code == ErrorCode::InvalidApiKey.as_str() && !has_key {
            text += "\n  no key was sent: `OPENAI_API_KEY`, `--api-key-file FILE` or `--api-key-variable NAME`";
        }
        text + "\n"
    }
}
