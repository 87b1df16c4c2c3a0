//! The errors of several operations on trust, beyond those of their paths and bodies.

use countersign_types::error::ErrorCode as Code;

/// What a toggle can be refused for.
pub(super) const DEACTIVATE: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::UnsupportedParameter,
    Code::AssertionFailed,
];
pub(super) const ACTIVATE: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::AssertionFailed,
];
pub(super) const ACTIVATE_IN_PROJECT: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::ProjectArchived,
    Code::AssertionFailed,
];

/// What an upload can be refused for.
pub(super) const UPLOAD: &[Code] = &[
    Code::MtlsCertificateInvalid,
    Code::ExpiredCertificate,
    Code::MtlsCelPolicyInvalid,
    Code::CertificateLimitExceeded,
    Code::MissingRequiredParameter,
];

/// What setting a scope can be refused for.
pub(super) const SET_ACTIVE: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::ScopeChanged,
    Code::AssertionFailed,
];
pub(super) const SET_ACTIVE_IN_PROJECT: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::ScopeChanged,
    Code::ProjectArchived,
    Code::AssertionFailed,
];
