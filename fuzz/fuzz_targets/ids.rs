//! Any text is an id of a kind, byte for byte, or refused with what was wanted; so is one that a
//! person gives.
#![no_main]

use countersign_types::id::{
    ApiKeyId, AuditLogId, CertificateId, GatewayId, OrganizationId, ProjectId, RequestId,
    ServiceAccountId,
};
use libfuzzer_sys::fuzz_target;

macro_rules! check {
    ($text:expr, $($id:ty)*) => {$(
        match $text.parse::<$id>() {
            Ok(id) => assert_eq!(id.as_str(), $text),
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
        if let Ok(id) = <$id>::given($text) {
            assert_eq!(id.as_str(), $text);
        }
    )*};
}

fuzz_target!(|text: &str| {
    check!(text, ApiKeyId AuditLogId CertificateId GatewayId OrganizationId ProjectId RequestId ServiceAccountId);
});
