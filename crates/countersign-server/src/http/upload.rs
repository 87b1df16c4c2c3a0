//! Checking an upload: the PEM with the verifier, the policy with its compiler.

use countersign_types::{UnixSeconds, certificate::UploadCertificateRequest, error::ErrorCode};
use countersign_verify::{
    certificate::{Rejection, read_upload},
    policy::Policy,
};
use serde_json::{Map, Value};

use super::{
    body::{RequestBody, check_optional_name},
    error::ApiError,
};
use crate::store::NewCertificate;

/// The messages of the verifier and the compiler go to the caller as they are: they describe only
/// the upload, and never quote it.
pub(super) fn read(
    request: UploadCertificateRequest,
    now: UnixSeconds,
) -> Result<NewCertificate, ApiError> {
    let anchor = read_upload(&request.certificate, now)?;
    check_policy(request.cel_policy.as_deref())?;
    Ok(NewCertificate {
        name: request.name,
        cel_policy: request.cel_policy,
        valid_at: anchor.valid_at(),
        expires_at: anchor.expires_at(),
        fingerprint: anchor.sha256(),
        pem: request.certificate,
    })
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.code, rejection.message).at("certificate")
    }
}

impl RequestBody for UploadCertificateRequest {
    /// `content` is an older name of `certificate`, which wins when both are given.
    fn prepare(properties: &mut Map<String, Value>) -> Result<(), ApiError> {
        if let Some(content) = properties.remove("content") {
            properties.entry("certificate").or_insert(content);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), ApiError> {
        check_optional_name("name", self.name.as_ref())
    }
}

/// Refuses a policy that does not compile.
pub(super) fn check_policy(policy: Option<&str>) -> Result<(), ApiError> {
    let Some(policy) = policy else {
        return Ok(());
    };
    let why = match Policy::compile(policy) {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    // A suggestion is a question and brings its own mark.
    let end = if why.ends_with('?') { "" } else { "." };
    let message = format!("The policy cannot be saved: {why}{end}");
    Err(ApiError::new(ErrorCode::MtlsCelPolicyInvalid, message).at("cel_policy"))
}
