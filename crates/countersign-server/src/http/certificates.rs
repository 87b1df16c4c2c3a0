//! Trust anchors: their list, and each by itself.

use countersign_types::{
    UnixSeconds,
    certificate::{
        Certificate, DeletedCertificate, Enforcement, ModifyCertificateRequest, Scope,
        ScopedCertificate, UpdatePolicyRequest, UploadCertificateRequest,
    },
    extension::{ACTIVE_AT, ENFORCEMENT, PREVIEW},
    floor::UpdateFloorRequest,
    id::{CertificateId, ObservationId, ProjectId},
    usage::{CertificateUsage, CertificateUse, ScopeUsage},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    answer::{self, Answer, PageAnswer},
    app::App,
    body::{Advice, Body, RequestBody, TO_ENFORCE, check_optional_name, refuse_properties},
    caller::Admin,
    error::ApiError,
    paging::Paging,
    path::Path,
    query::Query,
    trust_write::{self, Override},
    upload,
};
use crate::store::PageRequest;

/// Properties of certificates that a modification may not change.
const NOT_MODIFIABLE: [&str; 20] = [
    "certificate",
    "content",
    "active",
    ACTIVE_AT,
    ENFORCEMENT,
    PREVIEW,
    "cel_policy",
    "reported_policy",
    "refuse_issued_before",
    "reported_refuse_issued_before",
    "crl_missing",
    "crls",
    "id",
    "object",
    "created_at",
    "certificate_details",
    "valid_at",
    "expires_at",
    "certificate_ids",
    "usage",
];

/// What a list adds to each certificate.
#[derive(Deserialize, IntoParams)]
pub(super) struct ListQuery {
    /// `usage` adds how each certificate was used, `active_at` every scope where it is active
    /// (extensions).
    #[serde(default, rename = "include[]")]
    #[param(inline)]
    include: Vec<ListInclude>,
}

#[derive(PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ListInclude {
    Usage,
    ActiveAt,
}

/// What is added to a certificate.
#[derive(Deserialize, IntoParams)]
pub(super) struct RetrieveQuery {
    /// `content` adds the PEM, `usage` how the certificate was used, `active_at` every scope where it
    /// is active (extensions). `include=content` is understood as well.
    #[serde(default, rename = "include[]")]
    #[param(inline)]
    include: Vec<Include>,
}

#[derive(PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Include {
    Content,
    Usage,
    ActiveAt,
}

pub(super) async fn list(
    admin: Admin,
    app: App,
    page: Paging<CertificateId>,
    Query(query): Query<ListQuery>,
) -> PageAnswer<ScopedCertificate> {
    list_at(&admin, &app, &Scope::Organization, &page.request, &query).await
}

pub(super) async fn list_in_project(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    page: Paging<CertificateId>,
    Query(query): Query<ListQuery>,
) -> PageAnswer<ScopedCertificate> {
    list_at(
        &admin,
        &app,
        &Scope::Project(project),
        &page.request,
        &query,
    )
    .await
}

async fn list_at(
    admin: &Admin,
    app: &App,
    scope: &Scope,
    request: &PageRequest,
    query: &ListQuery,
) -> PageAnswer<ScopedCertificate> {
    let (store, organization) = (app.store(), &admin.organization);
    let mut page = store
        .list_certificates(organization, scope, request)
        .await?;
    if query.include.contains(&ListInclude::Usage) {
        let ids: Vec<_> = page.data.iter().map(|each| each.id.clone()).collect();
        let mut known = store.certificate_usage(organization, &ids).await?;
        for certificate in &mut page.data {
            let usage = known.remove(&certificate.id);
            certificate.usage = usage.map(|usage| at_scope(usage, scope));
        }
    }
    if query.include.contains(&ListInclude::ActiveAt) {
        for certificate in &mut page.data {
            let scopes = store.active_at(organization, &certificate.id);
            certificate.active_at = Some(scopes.await?);
        }
    }
    answer::page(&page)
}

/// A project's list shows what was used there.
fn at_scope(mut usage: CertificateUsage, scope: &Scope) -> CertificateUsage {
    if let Some(project) = scope.project() {
        let here = |each: &ScopeUsage| each.project_id.as_ref() == Some(project);
        usage.scopes.retain(here);
        usage.last_used = usage.scopes.first().map(|each| each.last_used);
        // What they refused is not counted by scope.
        usage.floor = None;
        usage.crls.clear();
    }
    usage
}

pub(super) async fn retrieve(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
    Query(query): Query<RetrieveQuery>,
) -> Answer<Certificate> {
    let (store, organization) = (app.store(), &admin.organization);
    let content = query.include.contains(&Include::Content);
    let mut certificate = store
        .retrieve_certificate(organization, &id, content)
        .await?;
    if query.include.contains(&Include::Usage) {
        let known = store.certificate_usage(organization, std::slice::from_ref(&id));
        certificate.usage = known.await?.remove(&id);
    }
    if query.include.contains(&Include::ActiveAt) {
        certificate.active_at = Some(store.active_at(organization, &id).await?);
    }
    answer::read(&certificate)
}

pub(super) async fn list_uses(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
    page: Paging<ObservationId>,
) -> PageAnswer<CertificateUse> {
    let store = app.store();
    let uses = store.list_certificate_uses(&admin.organization, &id, &page.request);
    answer::page(&uses.await?)
}

pub(super) async fn upload(
    admin: Admin,
    app: App,
    Body(request): Body<UploadCertificateRequest>,
) -> Answer<Certificate> {
    let new = upload::read(request, app.now())?;
    let mut tx = admin.write(&app).await?;
    let change = tx.upload_certificate(new).await?;
    answer::commit(tx, change).await
}

pub(super) async fn update(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
    Body(request): Body<ModifyCertificateRequest>,
) -> Answer<Certificate> {
    let mut tx = admin.write(&app).await?;
    let change = tx.update_certificate(&id, request.name).await?;
    answer::commit(tx, change).await
}

pub(super) async fn update_policy(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
    Query(allow): Query<Override>,
    Body(request): Body<UpdatePolicyRequest>,
) -> Answer<Certificate> {
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let policy = request.cel_policy.clone();
        let change = match request.enforcement.unwrap_or_default() {
            Enforcement::Enforce => tx.update_policy(&id, policy).await?,
            Enforcement::Report => tx.report_policy(&id, policy).await?,
        };
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

pub(super) async fn update_floor(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
    Query(allow): Query<Override>,
    Body(request): Body<UpdateFloorRequest>,
) -> Answer<Certificate> {
    let floor = request.refuse_issued_before;
    check_floor(floor, app.now())?;
    let enforcement = request.enforcement.unwrap_or_default();
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let change = tx.set_floor(&id, floor, enforcement).await?;
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, &allow, make).await
}

/// A floor in the future would refuse what is issued until then, too.
pub(super) fn check_floor(floor: Option<UnixSeconds>, now: UnixSeconds) -> Result<(), ApiError> {
    match floor.filter(|floor| *floor > now) {
        None => Ok(()),
        Some(floor) => {
            let message = format!(
                "`refuse_issued_before` is {floor}, and it is {now} now: a floor in the future would refuse \
                 certificates that are yet to be issued. Give a time in Unix seconds that is past."
            );
            Err(ApiError::value("refuse_issued_before", message))
        }
    }
}

pub(super) async fn delete(
    admin: Admin,
    app: App,
    Path(id): Path<CertificateId>,
) -> Answer<DeletedCertificate> {
    let mut tx = admin.write(&app).await?;
    let change = tx.delete_certificate(&id).await?;
    answer::commit(tx, change).await
}

impl RequestBody for ModifyCertificateRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        let why = "only the name of a certificate can be modified.";
        refuse_properties(properties, &NOT_MODIFIABLE, why)
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())
    }
}

impl RequestBody for UpdateFloorRequest {
    const ADVICE: Advice = &[(ENFORCEMENT, TO_ENFORCE)];
}

impl RequestBody for UpdatePolicyRequest {
    const ADVICE: Advice = &[(ENFORCEMENT, TO_ENFORCE)];

    fn check(&mut self) -> Result<(), ApiError> {
        upload::check_policy(self.cel_policy.as_deref())
    }
}
