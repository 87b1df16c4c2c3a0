//! Reading an upload: the PEM through the verifier, the policy through its compiler.

use countersign_types::{UnixSeconds, error::ErrorCode};
use countersign_verify::{
    certificate::{Rejection, read_upload},
    policy::Policy,
};
use serde_json::Value;

use super::{
    body::{Fields, wrong_type},
    error::ApiError,
};
use crate::store::NewCertificate;

/// What the verifier and the compiler say goes to the caller as it is: they speak of the upload
/// only, and never repeat it.
pub(super) fn read(fields: &mut Fields, now: UnixSeconds) -> Result<NewCertificate, ApiError> {
    let pem = pem(fields)?;
    let name = fields.name_or_null()?;
    let anchor = read_upload(&pem, now)?;
    Ok(NewCertificate {
        name,
        cel_policy: policy(fields)?,
        valid_at: anchor.valid_at(),
        expires_at: anchor.expires_at(),
        fingerprint: anchor.sha256(),
        pem,
    })
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.code, rejection.message).at("certificate")
    }
}

/// `content` is an older spelling of `certificate`, which wins when both come.
fn pem(fields: &mut Fields) -> Result<String, ApiError> {
    let given = fields.take("certificate");
    let older = fields.take("content");
    match given.or(older) {
        Some(Value::String(pem)) => Ok(pem),
        Some(other) => Err(wrong_type("certificate", "a string", &other)),
        None => Err(ApiError::missing("certificate")),
    }
}

/// A policy that compiles, or none.
pub(super) fn policy(fields: &mut Fields) -> Result<Option<String>, ApiError> {
    let Some(policy) = fields.text_or_null("cel_policy")? else {
        return Ok(None);
    };
    match Policy::compile(&policy) {
        Ok(_) => Ok(Some(policy)),
        Err(error) => Err(unsaved(&error.to_string())),
    }
}

fn unsaved(why: &str) -> ApiError {
    // A suggestion is a question and brings its own mark.
    let end = if why.ends_with('?') { "" } else { "." };
    let message = format!("The policy cannot be saved: {why}{end}");
    ApiError::new(ErrorCode::MtlsCelPolicyInvalid, message).at("cel_policy")
}
