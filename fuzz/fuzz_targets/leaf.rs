//! Any bytes are a leaf whose facts can be read, or are refused.
#![no_main]

use std::sync::LazyLock;

use countersign_verify::policy::{LeafFacts, Policy};
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = r#"subject.common_name != "" && subject_alt_names.all(san, san.value.size() >= 0)"#;
    Policy::compile(text).unwrap()
});

fuzz_target!(|der: &[u8]| {
    if let Ok(facts) = LeafFacts::from_der(der) {
        let _ = POLICY.evaluate(&facts);
        facts.unusable().for_each(drop);
    }
});
