//! The page about refusals: every command in it is run, in its order, and each code is explained.

use tempfile::tempdir;

use crate::{
    readme::{blocks, run},
    running::Dev,
};

const PAGE: &str = include_str!("../../../../docs/why-was-i-refused.md");

#[test]
fn the_pages_commands_work_as_they_stand() {
    let blocks = blocks(PAGE);
    assert_eq!(blocks.len(), 8, "shell blocks of the page");
    let directory = tempdir().unwrap();
    let _dev = Dev::start(&directory.path().join("countersign-data"));
    let printed = run(&blocks.join("\n"), directory.path());
    for (code, times) in [
        ("certificate_required", 1),
        ("invalid_certificate", 1),
        ("certificate_verification_failed", 2),
        ("certificate_attribute_verification_failed", 1),
        ("invalid_api_key", 1),
    ] {
        let line = format!("code          {code}\n");
        assert_eq!(printed.matches(&line).count(), times, "{code}: {printed}");
    }
    assert!(printed.matches("    fix: ").count() >= 4, "{printed}");
    assert_eq!(
        printed.matches("\"verdict\": \"permit\"").count(),
        1,
        "{printed}"
    );
}

#[test]
fn it_speaks_of_every_code_of_a_verdict() {
    use countersign_types::error::ErrorCode;
    for code in [
        ErrorCode::InvalidApiKey,
        ErrorCode::CertificateRequired,
        ErrorCode::InvalidCertificate,
        ErrorCode::CertificateVerificationFailed,
        ErrorCode::CertificateAttributeVerificationFailed,
        ErrorCode::AuthenticationTemporarilyUnavailable,
    ] {
        let heading = format!("## `{}` ({})", code.as_str(), code.status());
        assert!(PAGE.contains(&heading), "{heading}");
    }
}
