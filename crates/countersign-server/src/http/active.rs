//! Setting everything that is active at a scope, in one step: an extension.

use countersign_types::{
    certificate::{
        ActiveCertificate, ActiveCertificates, ActiveCertificatesObject, Enforcement,
        MAX_CERTIFICATES_PER_ORGANIZATION, Scope,
    },
    id::{CertificateId, ProjectId},
};
use serde_json::{Map, Value};

use super::{
    answer::Answer, body::wrong_type, call::Call, caller::Admin, error::ApiError,
    operation::Answered,
};
use crate::store::{Change, Kind, StoreError};

const ACTIVE: &str = "active";
const EXPECTED: &str = "expected";

pub(super) async fn set(admin: Admin, call: Call) -> Answered {
    set_at(admin, call, Scope::Organization).await
}

pub(super) async fn set_in_project(admin: Admin, call: Call) -> Answered {
    let project: ProjectId = call.id("project_id", "project")?;
    set_at(admin, call, Scope::Project(project)).await
}

async fn set_at(admin: Admin, mut call: Call, scope: Scope) -> Answered {
    let wanted = call
        .active(ACTIVE)?
        .ok_or_else(|| ApiError::missing(ACTIVE))?;
    let expected = call.active(EXPECTED)?;
    let mut tx = call.write(&admin).await?;
    let set = tx.set_active_certificates(&scope, &wanted, expected.as_deref());
    let change = set.await.map_err(|error| at_its_place(error, &wanted))?;
    let change = Change {
        answer: ActiveCertificates {
            object: ActiveCertificatesObject::at(&scope),
            data: change.answer,
        },
        events: change.events,
    };
    Answer::commit(tx, change).await
}

/// Says which of the certificates it is about.
fn at_its_place(error: StoreError, wanted: &[ActiveCertificate]) -> ApiError {
    let place = match &error {
        StoreError::NotFound {
            kind: Kind::Certificate,
            id,
        } => wanted
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

impl Call {
    /// Distinct certificates and how each is active, as many as an organization may have.
    fn active(&mut self, param: &'static str) -> Result<Option<Vec<ActiveCertificate>>, ApiError> {
        let items = match self.fields.take(param) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(wrong_type(param, "an array of objects", &other)),
        };
        if items.len() > MAX_CERTIFICATES_PER_ORGANIZATION {
            let message = format!(
                "`{param}` names {} certificates. Name each once, \
                 {MAX_CERTIFICATES_PER_ORGANIZATION} at most.",
                items.len()
            );
            return Err(ApiError::value(param, message));
        }
        let mut read: Vec<ActiveCertificate> = Vec::with_capacity(items.len());
        for (place, item) in items.into_iter().enumerate() {
            let at = format!("{param}[{place}]");
            let Value::Object(item) = item else {
                return Err(wrong_type(at, "an object", &item));
            };
            let one = certificate(&item, &at)?;
            if read
                .iter()
                .any(|each| each.certificate_id == one.certificate_id)
            {
                let message = format!("`{at}` names a certificate again. Name each once.");
                return Err(ApiError::value(at, message));
            }
            read.push(one);
        }
        Ok(Some(read))
    }
}

fn certificate(item: &Map<String, Value>, at: &str) -> Result<ActiveCertificate, ApiError> {
    let id = format!("{at}.certificate_id");
    let certificate_id: CertificateId = match item.get("certificate_id") {
        Some(Value::String(text)) => {
            let unknown = ApiError::no_such("certificate").at(id);
            text.parse().map_err(|_| unknown)?
        }
        Some(other) => return Err(wrong_type(id, "a string", other)),
        None => {
            let message = format!("`{id}` is missing. Send the certificate's id.");
            return Err(ApiError::value(id, message));
        }
    };
    let word = format!("{at}.enforcement");
    let enforcement = match item.get("enforcement") {
        None => Enforcement::default(),
        Some(Value::String(text)) => text.parse().map_err(|_| {
            let message = format!("`{word}` must be `enforce` or `report`.");
            ApiError::value(word, message)
        })?,
        Some(other) => return Err(wrong_type(word, "a string", other)),
    };
    Ok(ActiveCertificate {
        certificate_id,
        enforcement,
    })
}
