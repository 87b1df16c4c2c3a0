//! What a leaf says, in the terms of a provider, and whether that is what a rule asks for.

use countersign_types::{
    federation_rule::{FederationRule, MatcherValue},
    workload_identity_provider::SUBJECT_ATTRIBUTE,
};
use countersign_verify::policy::{AttributeValue, LeafFacts, NoValue};
use serde_json::Number;

use super::compiled::Provider;

/// The greatest whole number of which every smaller one is exact as a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The attributes of a leaf: each with its value, or why it has none.
pub(super) type Attributes<'p> = Vec<(&'p str, Result<AttributeValue, NoValue>)>;

/// Computes a provider's attributes.
pub(super) fn compute<'p>(provider: Provider<'p>, facts: &LeafFacts) -> Attributes<'p> {
    let each = provider.transformations.iter();
    each.map(|(name, transformation)| (name.as_str(), transformation.evaluate(facts)))
        .collect()
}

/// Why no workload can have these attributes: one has no value, or the subject is empty, which is nobody.
pub(super) fn unusable(attributes: &Attributes<'_>) -> Option<String> {
    for (name, value) in attributes {
        match value {
            Err(why) => return Some(format!("`{name}` has no value: {why}")),
            Ok(AttributeValue::Text(text)) if text.is_empty() && *name == SUBJECT_ATTRIBUTE => {
                return Some(format!("`{name}` is empty"));
            }
            Ok(_) => {}
        }
    }
    None
}

/// Why a rule does not match, attribute by attribute; empty if it does.
pub(super) fn mismatches(rule: &FederationRule, attributes: &Attributes<'_>) -> Vec<String> {
    let wanted = rule.attribute_matchers.iter();
    let why = wanted.filter_map(|(name, wanted)| {
        let found = attributes.iter().find(|(known, _)| known == name);
        match found {
            None => Some(format!("the provider computes no `{name}`")),
            Some((_, Err(why))) => Some(format!("`{name}` has no value: {why}")),
            Some((_, Ok(value))) if is(value, wanted) => None,
            Some((_, Ok(value))) => Some(format!(
                "`{name}` is {}, not {}",
                shown(value),
                serde_json::to_string(wanted).unwrap_or_default()
            )),
        }
    });
    why.collect()
}

fn is(value: &AttributeValue, wanted: &MatcherValue) -> bool {
    match (value, wanted) {
        (AttributeValue::Bool(value), MatcherValue::Bool(wanted)) => value == wanted,
        (AttributeValue::Text(value), MatcherValue::Text(wanted)) => {
            match wanted.strip_suffix('*') {
                Some(prefix) if !prefix.is_empty() => value.starts_with(prefix),
                _ => value == wanted,
            }
        }
        (AttributeValue::Int(value), MatcherValue::Number(wanted)) => is_number(*value, wanted),
        _ => false,
    }
}

/// Whether they are the same number, however it is written: `7.0` is 7.
fn is_number(value: i64, wanted: &Number) -> bool {
    if let Some(wanted) = wanted.as_i64() {
        return value == wanted;
    }
    let whole = wanted
        .as_f64()
        .filter(|wanted| wanted.fract() == 0.0 && wanted.abs() < EXACT);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole, and within what a float holds exactly"
    )]
    whole.is_some_and(|wanted| wanted as i64 == value)
}

/// A value as JSON has it.
pub(super) fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => serde_json::to_string(text).unwrap_or_default(),
        AttributeValue::Bool(value) => value.to_string(),
        AttributeValue::Int(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_a_matcher_says_and_of_its_type() {
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        for (value, wanted, same) in [
            (text("worker-7"), "\"worker-7\"", true),
            (text("worker-7"), "\"worker-*\"", true),
            (text("worker-"), "\"worker-*\"", true),
            (text("worker"), "\"worker-*\"", false),
            (text("*"), "\"*\"", true),
            (text("anything"), "\"*\"", false),
            (text("true"), "true", false),
            (AttributeValue::Bool(true), "true", true),
            (AttributeValue::Bool(true), "\"true\"", false),
            (AttributeValue::Int(7), "7", true),
            (AttributeValue::Int(7), "7.0", true),
            (AttributeValue::Int(7), "7.5", false),
            (AttributeValue::Int(7), "\"7\"", false),
            (AttributeValue::Int(i64::MAX), "9223372036854775807", true),
            (AttributeValue::Int(i64::MAX), "9223372036854775808", false),
        ] {
            let wanted: MatcherValue = serde_json::from_str(wanted).unwrap();
            assert_eq!(is(&value, &wanted), same, "{value:?} {wanted:?}");
        }
    }
}
