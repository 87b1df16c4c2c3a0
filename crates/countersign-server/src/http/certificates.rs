//! The ten operations of the certificates API, and the policy of a certificate.

use countersign_types::{
    certificate::{
        CertificateToggle, CertificateToggleObject, Enforcement, MAX_CERTIFICATES_PER_TOGGLE,
        Scope, ScopedCertificate,
    },
    error::ErrorCode,
    extension::{ENFORCEMENT, PREVIEW},
    id::{CertificateId, ObservationId, ProjectId},
    page::Order,
    usage::{CertificateUsage, ScopeUsage},
};

use serde_json::Value;

use super::{
    answer::Answer, body::wrong_type, call::Call, caller::Admin, error::ApiError,
    operation::Answered, upload,
};
use crate::{
    preview::ToggleTrial,
    store::{Change, Kind, StoreError},
};

/// What a modification may not touch, though it is a property of certificates.
const NOT_MODIFIABLE: [&str; 14] = [
    "certificate",
    "content",
    "active",
    ENFORCEMENT,
    PREVIEW,
    "cel_policy",
    "id",
    "object",
    "created_at",
    "certificate_details",
    "valid_at",
    "expires_at",
    "certificate_ids",
    "usage",
];

pub(super) async fn list(admin: Admin, call: Call) -> Answered {
    list_at(&admin, &call, &Scope::Organization).await
}

pub(super) async fn list_in_project(admin: Admin, call: Call) -> Answered {
    list_at(&admin, &call, &Scope::Project(project(&call)?)).await
}

async fn list_at(admin: &Admin, call: &Call, scope: &Scope) -> Answered {
    let request = call.query.page::<CertificateId>(Order::Desc)?;
    let usage = call.query.include_usage()?;
    let store = call.app.store();
    let organization = &admin.organization;
    let mut page = store
        .list_certificates(organization, scope, &request)
        .await?;
    if usage {
        let ids: Vec<_> = page.data.iter().map(|each| each.id.clone()).collect();
        let mut known = store.certificate_usage(organization, &ids).await?;
        for certificate in &mut page.data {
            let usage = known.remove(&certificate.id);
            certificate.usage = usage.map(|usage| at_scope(usage, scope));
        }
    }
    Answer::read(&page)
}

/// A project's list shows what was used there.
fn at_scope(mut usage: CertificateUsage, scope: &Scope) -> CertificateUsage {
    if let Some(project) = scope.project() {
        let here = |each: &ScopeUsage| each.project_id.as_ref() == Some(project);
        usage.scopes.retain(here);
        usage.last_used = usage.scopes.first().map(|each| each.last_used);
    }
    usage
}

pub(super) async fn retrieve(admin: Admin, call: Call) -> Answered {
    let id = certificate(&call)?;
    let include = call.query.include()?;
    let store = call.app.store();
    let organization = &admin.organization;
    let mut certificate = store
        .retrieve_certificate(organization, &id, include.content)
        .await?;
    if include.usage {
        let known = store.certificate_usage(organization, std::slice::from_ref(&id));
        certificate.usage = known.await?.remove(&id);
    }
    Answer::read(&certificate)
}

pub(super) async fn list_uses(admin: Admin, call: Call) -> Answered {
    let id = certificate(&call)?;
    let request = call.query.page::<ObservationId>(Order::Desc)?;
    let store = call.app.store();
    let uses = store.list_certificate_uses(&admin.organization, &id, &request);
    Answer::read(&uses.await?)
}

pub(super) async fn upload(admin: Admin, mut call: Call) -> Answered {
    let new = upload::read(&mut call.fields, call.app.now())?;
    let mut tx = call.write(&admin).await?;
    let change = tx.upload_certificate(new).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn update(admin: Admin, mut call: Call) -> Answered {
    let id = certificate(&call)?;
    call.fields.refuse(
        &NOT_MODIFIABLE,
        "only the name of a certificate can be modified.",
    )?;
    let name = call.fields.name()?;
    let mut tx = call.write(&admin).await?;
    let change = tx.update_certificate(&id, name).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn update_policy(admin: Admin, mut call: Call) -> Answered {
    let id = certificate(&call)?;
    if !call.fields.has("cel_policy") {
        return Err(ApiError::missing("cel_policy"));
    }
    let policy = upload::policy(&mut call.fields)?;
    let mut tx = call.write(&admin).await?;
    let change = tx.update_policy(&id, policy).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn delete(admin: Admin, call: Call) -> Answered {
    let id = certificate(&call)?;
    let mut tx = call.write(&admin).await?;
    let change = tx.delete_certificate(&id).await?;
    Answer::commit(tx, change).await
}

pub(super) async fn activate(admin: Admin, call: Call) -> Answered {
    activate_at(admin, call, Scope::Organization).await
}

pub(super) async fn activate_in_project(admin: Admin, call: Call) -> Answered {
    let scope = Scope::Project(project(&call)?);
    activate_at(admin, call, scope).await
}

async fn activate_at(admin: Admin, mut call: Call, scope: Scope) -> Answered {
    let ids = call.certificate_ids()?;
    let enforcement = call.enforcement()?;
    let object = CertificateToggleObject::activation(&scope);
    let preview = call.preview()?;
    let mut tx = call.write(&admin).await?;
    if preview {
        let tried = ToggleTrial::activate(tx, &scope, &ids, enforcement).await;
        let tried = tried.map_err(|error| at_its_place(error, &ids))?;
        let preview = tried.judge(call.app.trials(), &admin.organization, object);
        return Answer::read(&preview.await?);
    }
    let changed = tx.activate_certificates(&scope, &ids, enforcement).await;
    let change = changed.map_err(|error| at_its_place(error, &ids))?;
    Answer::commit(tx, toggle(object, change)).await
}

pub(super) async fn deactivate(admin: Admin, call: Call) -> Answered {
    deactivate_at(admin, call, Scope::Organization).await
}

pub(super) async fn deactivate_in_project(admin: Admin, call: Call) -> Answered {
    let scope = Scope::Project(project(&call)?);
    deactivate_at(admin, call, scope).await
}

async fn deactivate_at(admin: Admin, mut call: Call, scope: Scope) -> Answered {
    let ids = call.certificate_ids()?;
    call.fields.refuse(
        &[ENFORCEMENT],
        "what is deactivated is neither enforced nor reported. Leave it out.",
    )?;
    let object = CertificateToggleObject::deactivation(&scope);
    let preview = call.preview()?;
    let mut tx = call.write(&admin).await?;
    if preview {
        let tried = ToggleTrial::deactivate(tx, &scope, &ids).await;
        let tried = tried.map_err(|error| at_its_place(error, &ids))?;
        let preview = tried.judge(call.app.trials(), &admin.organization, object);
        return Answer::read(&preview.await?);
    }
    let changed = tx.deactivate_certificates(&scope, &ids).await;
    let change = changed.map_err(|error| at_its_place(error, &ids))?;
    Answer::commit(tx, toggle(object, change)).await
}

fn toggle(
    object: CertificateToggleObject,
    change: Change<Vec<ScopedCertificate>>,
) -> Change<CertificateToggle> {
    Change {
        answer: CertificateToggle {
            object,
            data: change.answer,
        },
        events: change.events,
    }
}

fn certificate(call: &Call) -> Result<CertificateId, ApiError> {
    call.id("certificate_id", "certificate")
}

fn project(call: &Call) -> Result<ProjectId, ApiError> {
    call.id("project_id", "project")
}

/// Says which of the ids of a toggle is unknown.
fn at_its_place(error: StoreError, ids: &[CertificateId]) -> ApiError {
    let place = match &error {
        StoreError::NotFound {
            kind: Kind::Certificate,
            id,
        } => ids.iter().position(|given| given.as_str() == id),
        _ => None,
    };
    let error = ApiError::from(error);
    match place {
        Some(place) => error.at(format!("certificate_ids[{place}]")),
        None => error,
    }
}

impl Call {
    /// `enforce` when it is not said.
    fn enforcement(&mut self) -> Result<Enforcement, ApiError> {
        let Some(word) = self.fields.text(ENFORCEMENT)? else {
            return Ok(Enforcement::default());
        };
        word.parse().map_err(|_| {
            let message = "`enforcement` must be `enforce` or `report`. Leave it out to enforce.";
            ApiError::value(ENFORCEMENT, message)
        })
    }

    /// Whether nothing shall be changed. Anything but true and false is refused: a change that was
    /// not meant must not come of a mistake here.
    fn preview(&mut self) -> Result<bool, ApiError> {
        match self.fields.take(PREVIEW) {
            None => Ok(false),
            Some(Value::Bool(preview)) => Ok(preview),
            Some(other) => Err(wrong_type(PREVIEW, "true or false", &other)),
        }
    }

    /// The 1 to 10 distinct ids of a toggle, in the order of the request, duplicates included.
    fn certificate_ids(&mut self) -> Result<Vec<CertificateId>, ApiError> {
        const PARAM: &str = "certificate_ids";
        let texts = self
            .fields
            .texts(PARAM)?
            .ok_or_else(|| ApiError::missing(PARAM))?;
        let mut distinct: Vec<&String> = texts.iter().collect();
        distinct.sort_unstable();
        distinct.dedup();
        if !(1..=MAX_CERTIFICATES_PER_TOGGLE).contains(&distinct.len()) {
            let message = format!(
                "`certificate_ids` names {} certificates. Name 1 to {MAX_CERTIFICATES_PER_TOGGLE} \
                 at a time.",
                distinct.len()
            );
            return Err(ApiError::value(PARAM, message));
        }
        let id = |(place, text): (usize, &String)| {
            let unknown = ApiError::no_such("certificate").at(format!("{PARAM}[{place}]"));
            text.parse().map_err(|_| unknown)
        };
        texts.iter().enumerate().map(id).collect()
    }
}

/// The codes of an upload that are its own.
pub(super) const UPLOAD_CODES: &[ErrorCode] = &[
    ErrorCode::MtlsCertificateInvalid,
    ErrorCode::ExpiredCertificate,
    ErrorCode::MtlsCelPolicyInvalid,
    ErrorCode::CertificateLimitExceeded,
    ErrorCode::MissingRequiredParameter,
];
