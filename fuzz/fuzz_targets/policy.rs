//! Any text compiles or is refused with a place in it; what compiled answers on any leaf, within
//! the cost that was promised when it was saved.
#![no_main]

use countersign_verify::policy::{Attribute, LeafFacts, NameType, Policy, limits::MAX_COST};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::compile(text) else {
        return;
    };
    assert!(policy.cost() <= MAX_COST);
    // To have no answer is fine; a panic or a hang is not. The policy's own text is the name that
    // most likely matches something in it.
    let _ = policy.evaluate(&LeafFacts::default());
    let facts = LeafFacts::default()
        .with_attribute(Attribute::CommonName, text)
        .with_attribute(Attribute::OrganizationalUnit, "Production")
        .with_name(NameType::Dns, "a.example.com", "")
        .with_name(NameType::Dns, text, "")
        .with_name(NameType::Custom, "x", "1.2.3");
    let _ = policy.evaluate(&facts);
});
