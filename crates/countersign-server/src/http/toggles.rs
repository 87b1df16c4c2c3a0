//! Activating and deactivating certificates, for the organization or for one project.

use std::collections::HashSet;

use countersign_types::{
    api_key::Permission,
    certificate::{
        CertificateToggle, CertificateToggleObject, DeactivateCertificatesRequest,
        MAX_CERTIFICATES_PER_TOGGLE, Scope, ScopedCertificate, ToggleCertificatesRequest,
    },
    extension::ENFORCEMENT,
    id::{CertificateId, ProjectId},
    preview::ToggleAnswer,
};
use serde_json::{Map, Value};

use super::{
    answer::{self, Answer},
    app::App,
    body::{Advice, Body, RequestBody, TO_ENFORCE, refuse_properties},
    caller::Admin,
    error::ApiError,
    path::Path,
    query::Query,
    trust_write::{self, Override},
};
use crate::{
    preview::ToggleTrial,
    store::{Change, Kind, StoreError},
};

const IDS: &str = "certificate_ids";

pub(super) async fn activate(
    admin: Admin,
    app: App,
    Query(allow): Query<Override>,
    Body(request): Body<ToggleCertificatesRequest>,
) -> Answer<ToggleAnswer> {
    activate_at((admin, app), Scope::Organization, &allow, request).await
}

pub(super) async fn activate_in_project(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Query(allow): Query<Override>,
    Body(request): Body<ToggleCertificatesRequest>,
) -> Answer<ToggleAnswer> {
    activate_at((admin, app), Scope::Project(project), &allow, request).await
}

async fn activate_at(
    (admin, app): (Admin, App),
    scope: Scope,
    allow: &Override,
    request: ToggleCertificatesRequest,
) -> Answer<ToggleAnswer> {
    let ids = request.certificate_ids;
    let enforcement = request.enforcement.unwrap_or_default();
    let object = CertificateToggleObject::activation(&scope);
    if request.preview == Some(true) {
        // It shows observed traffic, as the operations that list it do.
        admin.check(Permission::MtlsRead)?;
        let tx = admin.write(&app).await?;
        let trial = ToggleTrial::activate(tx, &scope, &ids, enforcement).await;
        let trial = trial.map_err(|error| with_param(error, &ids))?;
        return preview(&admin, &app, trial, object).await;
    }
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let changed = tx.activate_certificates(&scope, &ids, enforcement).await;
        let change = changed.map_err(|error| with_param(error, &ids))?;
        Ok((tx, done(object, change)))
    };
    trust_write::commit(&admin, &app, allow, make).await
}

pub(super) async fn deactivate(
    admin: Admin,
    app: App,
    Query(allow): Query<Override>,
    Body(request): Body<DeactivateCertificatesRequest>,
) -> Answer<ToggleAnswer> {
    deactivate_at((admin, app), Scope::Organization, &allow, request).await
}

pub(super) async fn deactivate_in_project(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Query(allow): Query<Override>,
    Body(request): Body<DeactivateCertificatesRequest>,
) -> Answer<ToggleAnswer> {
    deactivate_at((admin, app), Scope::Project(project), &allow, request).await
}

async fn deactivate_at(
    (admin, app): (Admin, App),
    scope: Scope,
    allow: &Override,
    request: DeactivateCertificatesRequest,
) -> Answer<ToggleAnswer> {
    let ids = request.certificate_ids;
    let object = CertificateToggleObject::deactivation(&scope);
    if request.preview == Some(true) {
        // It shows observed traffic, as the operations that list it do.
        admin.check(Permission::MtlsRead)?;
        let tx = admin.write(&app).await?;
        let trial = ToggleTrial::deactivate(tx, &scope, &ids).await;
        let trial = trial.map_err(|error| with_param(error, &ids))?;
        return preview(&admin, &app, trial, object).await;
    }
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let changed = tx.deactivate_certificates(&scope, &ids).await;
        let change = changed.map_err(|error| with_param(error, &ids))?;
        Ok((tx, done(object, change)))
    };
    trust_write::commit(&admin, &app, allow, make).await
}

async fn preview(
    admin: &Admin,
    app: &App,
    trial: ToggleTrial,
    object: CertificateToggleObject,
) -> Answer<ToggleAnswer> {
    let preview = trial.judge(app.trials(), &admin.organization, object);
    answer::read(&ToggleAnswer::Preview(Box::new(preview.await?)))
}

fn done(
    object: CertificateToggleObject,
    change: Change<Vec<ScopedCertificate>>,
) -> Change<ToggleAnswer> {
    Change {
        answer: ToggleAnswer::Done(CertificateToggle {
            object: object.into(),
            data: change.answer,
        }),
        events: change.events,
    }
}

/// Names the certificate that is unknown.
fn with_param(error: StoreError, ids: &[CertificateId]) -> ApiError {
    let place = match &error {
        StoreError::NotFound {
            kind: Kind::Certificate,
            id,
        } => ids.iter().position(|given| given.as_str() == id),
        _ => None,
    };
    let error = ApiError::from(error);
    match place {
        Some(place) => error.at(format!("{IDS}[{place}]")),
        None => error,
    }
}

impl RequestBody for ToggleCertificatesRequest {
    const ADVICE: Advice = &[(ENFORCEMENT, TO_ENFORCE)];

    fn check(&mut self) -> Result<(), ApiError> {
        check_number(&self.certificate_ids)
    }
}

impl RequestBody for DeactivateCertificatesRequest {
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        let why = "what is deactivated is neither enforced nor reported. Leave it out.";
        refuse_properties(properties, &[ENFORCEMENT], why)
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_number(&self.certificate_ids)
    }
}

/// 1 to 10 distinct ids; duplicates count once.
fn check_number(ids: &[CertificateId]) -> Result<(), ApiError> {
    let distinct = ids.iter().collect::<HashSet<_>>().len();
    if (1..=MAX_CERTIFICATES_PER_TOGGLE).contains(&distinct) {
        return Ok(());
    }
    let message = format!(
        "`{IDS}` names {distinct} certificates. Name 1 to {MAX_CERTIFICATES_PER_TOGGLE} at a time."
    );
    Err(ApiError::value(IDS, message))
}
