//! Setting everything that is active at a scope, in one step: an extension.

use countersign_types::{
    certificate::{
        ActiveCertificate, ActiveCertificates, ActiveCertificatesObject,
        MAX_CERTIFICATES_PER_ORGANIZATION, Scope, SetActiveCertificatesRequest,
    },
    id::ProjectId,
};
use serde_json::{Map, Value};

use super::{
    answer::Answer,
    app::App,
    body::{Body, RequestBody},
    caller::Admin,
    error::ApiError,
    path::Path,
    query::Query,
    trust_write::{self, Override},
};
use crate::store::{Change, Kind, StoreError};

const ACTIVE: &str = "active";
const EXPECTED: &str = "expected";

pub(super) async fn set(
    admin: Admin,
    app: App,
    Query(allow): Query<Override>,
    Body(request): Body<SetActiveCertificatesRequest>,
) -> Answer<ActiveCertificates> {
    set_at((admin, app), Scope::Organization, &allow, request).await
}

pub(super) async fn set_in_project(
    admin: Admin,
    app: App,
    Path(project): Path<ProjectId>,
    Query(allow): Query<Override>,
    Body(request): Body<SetActiveCertificatesRequest>,
) -> Answer<ActiveCertificates> {
    set_at((admin, app), Scope::Project(project), &allow, request).await
}

async fn set_at(
    (admin, app): (Admin, App),
    scope: Scope,
    allow: &Override,
    request: SetActiveCertificatesRequest,
) -> Answer<ActiveCertificates> {
    let SetActiveCertificatesRequest { active, expected } = request;
    let make = || async {
        let mut tx = admin.write(&app).await?;
        let set = tx.set_active_certificates(&scope, &active, expected.as_deref());
        let change = set.await.map_err(|error| with_param(error, &active))?;
        let change = Change {
            answer: ActiveCertificates {
                object: ActiveCertificatesObject::at(&scope).into(),
                data: change.answer,
            },
            events: change.events,
        };
        Ok((tx, change))
    };
    trust_write::commit(&admin, &app, allow, make).await
}

/// Names the certificate that an error is about.
fn with_param(error: StoreError, active: &[ActiveCertificate]) -> ApiError {
    let place = match &error {
        StoreError::NotFound {
            kind: Kind::Certificate,
            id,
        } => active
            .iter()
            .position(|each| each.certificate_id.as_str() == id),
        StoreError::Expired { index } => Some(*index),
        _ => None,
    };
    let error = ApiError::from(error);
    match place {
        Some(place) => error.at(format!("{ACTIVE}[{place}].certificate_id")),
        None => error,
    }
}

impl RequestBody for SetActiveCertificatesRequest {
    /// The number is checked first, so that a list that is too long is not read.
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        for param in [ACTIVE, EXPECTED] {
            let Some(Value::Array(items)) = properties.get(param) else {
                continue;
            };
            if items.len() > MAX_CERTIFICATES_PER_ORGANIZATION {
                let message = format!(
                    "`{param}` names {} certificates. Name each once, \
                     {MAX_CERTIFICATES_PER_ORGANIZATION} at most.",
                    items.len()
                );
                return Err(ApiError::value(param, message));
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_distinct(ACTIVE, &self.active)?;
        check_distinct(EXPECTED, self.expected.as_deref().unwrap_or_default())
    }
}

fn check_distinct(param: &str, certificates: &[ActiveCertificate]) -> Result<(), ApiError> {
    for (place, one) in certificates.iter().enumerate() {
        let mut before = certificates.iter().take(place);
        if before.any(|each| each.certificate_id == one.certificate_id) {
            let param = format!("{param}[{place}]");
            let message = format!("`{param}` names a certificate again. Name each once.");
            return Err(ApiError::value(param, message));
        }
    }
    Ok(())
}
