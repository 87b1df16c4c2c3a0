//! Attributes and conditions: the same language below `assertion`.

use super::facts;
use crate::policy::{
    Attribute, AttributeValue, Condition, EvaluationError, LeafFacts, NoValue, Transformation,
};

#[test]
fn an_attribute_is_a_string_a_number_or_a_bool() {
    let text = |text: &str| Ok(AttributeValue::Text(text.to_owned()));
    for (expression, value) in [
        ("assertion.subject.common_name", text("worker-7")),
        ("assertion.subject.locality", text("")),
        ("\"x-\" + assertion.subject.country_code", text("x-SE")),
        (
            "assertion.subject_alt_names.filter(n, n.type == URI)[0].value",
            text("spiffe://example.com/ns/prod"),
        ),
        (
            "assertion.subject_alt_names.exists(n, n.type == DNS)",
            Ok(AttributeValue::Bool(true)),
        ),
        (
            "assertion.subject_alt_names.size()",
            Ok(AttributeValue::Int(7)),
        ),
        (
            "assertion.subject_alt_names[99].value",
            Err(NoValue::Failed(EvaluationError::IndexOutOfRange)),
        ),
    ] {
        let compiled = Transformation::compile(expression).unwrap();
        assert_eq!(compiled.evaluate(&facts()), value, "{expression}");
    }
}

#[test]
fn what_cannot_be_relied_on_is_no_attribute_and_fulfils_no_condition() {
    let twice = LeafFacts::default()
        .with_attribute(Attribute::CommonName, "a")
        .with_attribute(Attribute::CommonName, "b");
    let attribute = Transformation::compile("assertion.subject.common_name").unwrap();
    assert_eq!(attribute.evaluate(&twice), Err(NoValue::Unusable));
    let condition = Condition::compile("assertion.subject.common_name != \"c\"").unwrap();
    assert_eq!(condition.evaluate(&twice), Err(NoValue::Unusable));
    assert_eq!(condition.evaluate(&facts()), Ok(true));
}

#[test]
fn a_refusal_names_the_place_and_what_to_write() {
    let refused = |text: &str| Transformation::compile(text).unwrap_err().to_string();
    for (expression, says) in [
        ("subject.common_name", "did you mean `assertion.subject`?"),
        (
            "assertion.subject.cn",
            "line 1, column 19: unknown name `assertion.subject.cn`; did you mean `assertion.subject.common_name`?",
        ),
        (
            "assertion.common_name",
            "did you mean `assertion.subject.common_name`?",
        ),
        ("assertion.sub", "it has `assertion.subject` and"),
        ("assertion", "`assertion` is not a value of its own"),
        ("assertion.subject", "`assertion.subject` is not a value"),
        (
            "assertion.subject_alt_names",
            "the expression yields a list of subject alternative names, not a string, a number or a bool",
        ),
        ("assertion.subject[\"a\"]", "cannot be indexed"),
        ("", "expression line 1, column 1: the expression is empty"),
        ("1.5", "line 1"),
    ] {
        let message = refused(expression);
        assert!(message.contains(says), "{expression}: {message}");
    }
    let condition = Condition::compile("assertion.subject.common_name").unwrap_err();
    let message = condition.to_string();
    assert!(
        message.contains("the condition yields a string, not a bool"),
        "{message}"
    );
}
