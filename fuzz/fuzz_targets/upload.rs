//! Any text is a trust anchor or refused with what is wrong with it; the same for any DER.
#![no_main]

use countersign_verify::certificate::{Anchor, inspect, read_upload};
use libfuzzer_sys::fuzz_target;

/// 2026-01-01, for certificates that are valid at all.
const NOW: u64 = 1_767_225_600;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        let read = read_upload(text, NOW);
        let inspected = inspect(text, NOW);
        assert_eq!(
            read.is_ok(),
            inspected.reasons.is_empty(),
            "upload and inspect disagree"
        );
        if let Ok(anchor) = read {
            assert!(anchor.expires_at() > NOW);
            assert!(!anchor.key_identifier().is_empty());
        }
    }
    if let Ok(anchor) = Anchor::from_der(input) {
        assert!(anchor.facts().is_ca());
    }
});
