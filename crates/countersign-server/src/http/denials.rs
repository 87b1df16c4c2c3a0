//! Denials of an organization: certificates that are refused although they verify (an extension).

use countersign_types::{
    UnixSeconds,
    audit::AuditEvent,
    certificate::Scope,
    denial::{
        DeletedDenial, Denial, DenialCreateRequest, DenialMatch, MAX_MATCH_BYTES,
        MAX_REASON_CHARACTERS,
    },
    extension::ENFORCEMENT,
    id::DenialId,
};
use countersign_verify::denial::normal;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Advice, Body, RequestBody, TO_ENFORCE, check_name, check_text},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
    query::Query,
    trust_write::{self, Override},
};
use crate::store::{NewDenial, WriteTx};

const MATCH: &str = "match";

/// What is added to denials.
#[derive(Deserialize, IntoParams)]
pub(super) struct IncludeQuery {
    /// `usage` adds what each denial refused.
    #[serde(default, rename = "include[]")]
    #[param(inline)]
    include: Vec<DenialInclude>,
}

#[derive(PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DenialInclude {
    Usage,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<DenialId>,
    Query(query): Query<IncludeQuery>,
) -> PageAnswer<Denial> {
    let denials = app.store().list_denials(&admin.organization, &page.request);
    let mut denials = denials.await?;
    include(&admin, &app, &query, &mut denials.data).await?;
    answer::page(&denials)
}

/// Adds to denials what is asked for.
async fn include(
    admin: &Admin,
    app: &App,
    query: &IncludeQuery,
    denials: &mut [Denial],
) -> Result<(), ApiError> {
    if !query.include.contains(&DenialInclude::Usage) {
        return Ok(());
    }
    let ids: Vec<_> = denials.iter().map(|each| each.id.clone()).collect();
    let known = app.store().denial_usage(&admin.organization, &ids);
    let mut known = known.await?;
    for denial in denials {
        denial.usage = Some(known.remove(denial.id.as_str()).unwrap_or_default());
    }
    Ok(())
}

pub(super) async fn create(
    admin: Admin,
    app: App,
    Query(allow): Query<Override>,
    Body(request): Body<DenialCreateRequest>,
) -> Answer<Denial> {
    let new = read(request, app.now())?;
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.create_denial(new.clone()).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

/// Creates a denial among other changes.
pub(super) async fn create_in(
    tx: &mut WriteTx,
    request: DenialCreateRequest,
    now: UnixSeconds,
) -> Result<Vec<AuditEvent>, ApiError> {
    check_request(&request)?;
    Ok(tx.create_denial(read(request, now)?).await?.events)
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(id): Path<DenialId>,
    Query(query): Query<IncludeQuery>,
) -> Answer<Denial> {
    let denial = app.store().retrieve_denial(&admin.organization, &id);
    let mut denial = denial.await?;
    include(&admin, &app, &query, std::slice::from_mut(&mut denial)).await?;
    answer::read(&denial)
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(id): Path<DenialId>,
    Query(allow): Query<Override>,
) -> Answer<DeletedDenial> {
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.delete_denial(&id).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

/// A denial that can match something, and does not end before it begins.
fn read(request: DenialCreateRequest, now: UnixSeconds) -> Result<NewDenial, ApiError> {
    let matches = normal(&request.matches)
        .map_err(|error| ApiError::value(format!("{MATCH}.{}", error.property), error.message))?;
    if let Some(end) = request.expires_at.filter(|end| *end <= now) {
        let message = format!(
            "`expires_at` is {end}, and it is {now} now: such a denial would refuse nothing."
        );
        return Err(ApiError::value("expires_at", message));
    }
    Ok(NewDenial {
        name: request.name,
        reason: request.reason,
        matches,
        scope: Scope::from(request.project_id),
        enforcement: request.enforcement,
        expires_at: request.expires_at,
    })
}

impl RequestBody for DenialCreateRequest {
    const ADVICE: Advice = &[(ENFORCEMENT, TO_ENFORCE)];

    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        let kinds = properties.get(MATCH).and_then(Value::as_object);
        if kinds.is_some_and(|kinds| kinds.len() != 1) {
            let known = DenialMatch::KINDS
                .map(|kind| format!("`{kind}`"))
                .join(", ");
            let message = format!("`{MATCH}` has exactly one of {known}.");
            return Err(ApiError::value(MATCH, message));
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_request(self)
    }
}

/// What the texts of a denial may be.
fn check_request(request: &DenialCreateRequest) -> Result<(), ApiError> {
    check_name("name", &request.name)?;
    if let Some(reason) = &request.reason {
        check_text("reason", reason, 1..=MAX_REASON_CHARACTERS)?;
    }
    let (param, text) = match &request.matches {
        DenialMatch::LeafSha256(_) | DenialMatch::SpkiSha256(_) => return Ok(()),
        DenialMatch::IssuerAndSerial(both) => ("issuer_and_serial.issuer", &both.issuer),
        DenialMatch::SubjectAltName(name) => ("subject_alt_name.value", &name.value),
    };
    if text.len() > MAX_MATCH_BYTES {
        let message = format!(
            "It has {} bytes. At most {MAX_MATCH_BYTES} are compared.",
            text.len()
        );
        return Err(ApiError::value(format!("{MATCH}.{param}"), message));
    }
    Ok(())
}
