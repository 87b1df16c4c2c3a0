//! Checks the server: whether it answers, which kind it is, what the key may do, and whether the
//! clocks agree.

use std::{fmt::Write as _, time::SystemTime};

use countersign_client::{AuditLogParams, Client, Error, ListParams, ProjectListParams};
use countersign_types::{
    api_key::Permission,
    bundle::{GatewayState, Gateways},
    certificate::Scope,
    error::ErrorCode,
};
use time::OffsetDateTime;

use super::{
    anchors,
    check::{Check, Status},
    likely,
};
use crate::{cli::api::ApiOptions, clock, config::process_env, failure::Failure};

/// Clocks that are further apart than this, in seconds, make valid certificates fail.
const SKEW: u64 = 30;

/// Whether the server's URL is set.
pub(super) fn environment(api: &ApiOptions) -> Option<Check> {
    if api.has_base_url() || process_env("OPENAI_BASE_URL").is_some() {
        return None;
    }
    Some(Check::warn(
        "environment",
        "`OPENAI_BASE_URL` is not set, so calls go to api.openai.com",
        "with `countersign dev` running, run `. countersign-data/dev.env`",
    ))
}

/// Everything that can be checked on the server without changing anything.
pub(super) async fn checks(api: &ApiOptions, client: &Client) -> Vec<Check> {
    let first = Read::certificates(client).await;
    if let Some(error) = first.error.as_ref().filter(|error| !is_of_the_api(error)) {
        let failure = Failure::from(error.clone());
        let failure = match likely::fix(api, error).await {
            Some(hint) => failure.hint(hint),
            None => failure,
        };
        return vec![Check::failed("server", &failure)];
    }
    let mut checks = vec![Check::ok(
        "server",
        format!("{} answers", client.base_url()),
    )];
    if let Some(error) = first
        .error
        .as_ref()
        .filter(|error| error.status() == Some(401))
    {
        checks.push(Check::failed("key", &Failure::from(error.clone())));
        return checks;
    }
    let kind = kind(client).await;
    if kind.status == Status::Ok {
        checks.extend(readiness(client).await);
    }
    checks.push(kind);
    checks.extend(first.date.map(clocks));
    let reads = [
        (Permission::MtlsRead, first),
        (Permission::Management, Read::projects(client).await),
        (Permission::AuditRead, Read::audit_logs(client).await),
    ];
    let may_read = reads
        .iter()
        .any(|(permission, read)| *permission == Permission::MtlsRead && read.error.is_none());
    checks.push(key(&reads));
    if may_read {
        checks.extend(anchors::check(client).await);
    }
    checks
}

/// Whether an error is an answer of the API, and not of something else at that URL.
fn is_of_the_api(error: &Error) -> bool {
    error
        .status()
        .is_some_and(|status| !matches!(status, 404 | 405))
        && error
            .code()
            .is_some_and(|code| code != ErrorCode::BadRequest)
}

/// The result of reading a list.
struct Read {
    error: Option<Error>,
    date: Option<SystemTime>,
}

impl Read {
    fn new<T>(answer: Result<countersign_client::Response<T>, Error>) -> Self {
        match answer {
            Ok(answer) => Self {
                error: None,
                date: answer.date,
            },
            Err(error) => Self {
                error: Some(error),
                date: None,
            },
        }
    }

    async fn certificates(client: &Client) -> Self {
        let certificates = client.certificates();
        Self::new(certificates.list(&Scope::Organization, &one()).await)
    }

    async fn projects(client: &Client) -> Self {
        let params = ProjectListParams {
            list: one(),
            ..ProjectListParams::default()
        };
        Self::new(client.projects().list(&params).await)
    }

    async fn audit_logs(client: &Client) -> Self {
        let params = AuditLogParams {
            limit: Some(1),
            ..AuditLogParams::default()
        };
        Self::new(client.audit_logs().list(&params).await)
    }
}

fn one() -> ListParams {
    ListParams {
        limit: Some(1),
        ..ListParams::default()
    }
}

/// Why the server is not ready, if it says so: its disk may be full. Nothing where it is, or where
/// there is no such path.
async fn readiness(client: &Client) -> Option<Check> {
    match client.countersign().readiness().await {
        Err(error) if error.status() == Some(503) => {
            Some(Check::failed("readiness", &Failure::from(error)))
        }
        _ => None,
    }
}

/// Only Countersign has gateways.
async fn kind(client: &Client) -> Check {
    match client.countersign().gateways().await {
        Ok(answer) => {
            let Gateways {
                revision, gateways, ..
            } = answer.value;
            let live = gateways
                .iter()
                .filter(|gateway| gateway.state == GatewayState::Live)
                .count();
            let missing = gateways.len() - live;
            let mut found =
                format!("a Countersign server at revision {revision}; live gateways: {live}");
            if missing > 0 {
                let _ = write!(found, ", missing: {missing}");
            }
            Check::ok("kind", found)
        }
        Err(error) if error.status() == Some(404) => Check::ok(
            "kind",
            "another implementation of this API, without gateways",
        ),
        Err(error) => Check::warn(
            "kind",
            format!("cannot be told: {error}"),
            "ask the server's operator, with the request id",
        ),
    }
}

fn clocks(server: SystemTime) -> Check {
    let (here, there) = (clock::now(), OffsetDateTime::from(server));
    let apart = (here - there).whole_seconds().unsigned_abs();
    let detail = format!("this machine's and the server's clocks are {apart} s apart");
    if apart > SKEW {
        return Check::warn(
            "clock",
            detail,
            "set the one that is wrong, since validity depends on it: `sudo timedatectl set-ntp true`; this one says `date -u`",
        );
    }
    Check::ok("clock", detail)
}

fn key(reads: &[(Permission, Read)]) -> Check {
    let name = |permission: &Permission| format!("`{}`", permission.as_str());
    let mut may = Vec::new();
    for (permission, read) in reads {
        match &read.error {
            None => may.push(name(permission)),
            // The key works, but lacks this permission.
            Some(error) if error.code() == Some(ErrorCode::MissingScope) => {}
            Some(error) => return Check::failed("key", &Failure::from(error.clone())),
        }
    }
    if may.is_empty() {
        return Check::warn(
            "key",
            "the key is valid, but may read nothing",
            "use an admin key with more permissions, or create one: `countersign admin-key create`",
        );
    }
    Check::ok(
        "key",
        format!(
            "the key is valid and has {}; write access was not tested",
            may.join(", ")
        ),
    )
}
