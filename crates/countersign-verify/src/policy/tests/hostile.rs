//! Policies and leaves made to hurt. Work is counted in units, never measured by the clock.

use proptest::prelude::*;

use super::facts;
use crate::policy::{
    Attribute, EvaluationError, LeafFacts, NameType, Policy, PolicyError,
    compiled::compile,
    evaluate::{Halt, run},
    language::Language,
    limits::{MAX_COST, MAX_NAMES, MAX_NAMES_BYTES, MAX_POLICY_BYTES},
};

#[track_caller]
fn refused(policy: &str, message: &str) -> PolicyError {
    let error = Policy::compile(policy).expect_err("must be refused");
    assert!(error.message.contains(message), "{error}");
    error
}

#[test]
fn policies_made_to_hurt_are_refused() {
    for depth in [100_000, 4_000, 2_000] {
        let message = if depth > MAX_POLICY_BYTES {
            "bytes, more than 4096"
        } else {
            "deeper than 32"
        };
        for open in [
            "(",
            "[",
            "!",
            "-",
            "size(",
            "a[",
            "true?",
            "true?true:",
            "1-",
            "a.b",
            ".a",
            "a.f(",
            "(((",
        ] {
            let policy = open.repeat(depth);
            if policy.len() > MAX_POLICY_BYTES {
                refused(&policy, "bytes, more than 4096");
            } else {
                let _ = Policy::compile(&policy).expect_err("must be refused");
            }
        }
        refused(&"(".repeat(depth), message);
    }
}

#[test]
fn deep_policies_and_large_patterns_are_refused() {
    refused(
        &format!("{}true{}", "(".repeat(40), ")".repeat(40)),
        "deeper than 32",
    );
    refused(&format!("{}true", "!".repeat(40)), "deeper than 32");
    refused(&format!("1 == {}1", "- ".repeat(40)), "deeper than 32");
    refused(&format!("1{} == 1", "+1".repeat(1400)), "deeper than 32");
    refused(
        &format!("{}true", "true ? true : ".repeat(200)),
        "deeper than 32",
    );
    refused(
        &format!("1 in {}1{}", "[".repeat(500), "]".repeat(500)),
        "deeper than 32",
    );
    refused(
        &format!("{}true", "true&&".repeat(650)),
        "more than 600 terms",
    );
    refused(
        "\"\".matches(\"(a{1000}){1000}\")",
        "the pattern cannot be used",
    );
    refused(
        &format!("\"\".matches(\"{}\")", "(".repeat(3000)),
        "the pattern cannot be used",
    );
    refused(
        "\"\".matches(\"((((a{0,99}){0,99}){0,99}){0,99}){0,99}\")",
        "the pattern cannot be used",
    );
    refused(
        "\"\".matches(\"(?:){4294967295}\")",
        "the pattern cannot be used",
    );
    refused(
        "\"\".matches(\"(?:(?:){99999}){99999}\")",
        "the pattern cannot be used",
    );
    let nested = |levels: usize| {
        let open: String = (0..levels)
            .map(|level| format!("subject_alt_names.exists(v{level}, "))
            .collect();
        format!("{open}true{}", ")".repeat(levels))
    };
    refused(&nested(7), "more than 2 comprehensions");
    refused(&nested(3), "more than 2 comprehensions");
    assert!(Policy::compile(&nested(2)).is_ok());
}

/// What the language definition asks every implementation to take.
#[test]
fn the_least_that_cel_asks_for_is_accepted() {
    let policies = [
        format!("true{}", " || true".repeat(31)),
        format!("true{}", " && true".repeat(31)),
        format!("1 in [1{}]", ", 1".repeat(31)),
        format!("{}true", "false ? true : ".repeat(24)),
        format!("1{} == 25", " + 1".repeat(24)),
        format!("{}true{}", "(".repeat(12), ")".repeat(12)),
        format!("subject.common_name in [\"{}\"]", "a\", \"".repeat(500)),
    ];
    for policy in policies {
        assert!(
            Policy::compile(&policy).is_ok(),
            "{policy}: {:?}",
            Policy::compile(&policy)
        );
    }
}

/// The most crowded leaf that policies look at: as many names and as much text as may be.
fn crowded() -> LeafFacts {
    let long = "a".repeat(MAX_NAMES_BYTES / MAX_NAMES);
    let facts = Attribute::ALL
        .into_iter()
        .fold(LeafFacts::default(), |facts, attribute| {
            facts.with_attribute(attribute, &"a".repeat(2048))
        });
    (0..MAX_NAMES).fold(facts, |facts, _| facts.with_name(NameType::Uri, &long, ""))
}

#[test]
fn the_cost_checked_at_saving_is_never_exceeded() {
    let policies = [
        "subject_alt_names.exists(a, subject_alt_names.exists(b, a.value == b.value + \"b\"))",
        "subject_alt_names.exists(a, a.value.matches(\"(a*)*b\"))",
        "subject_alt_names.all(a, subject.common_name.contains(a.value))",
        "subject_alt_names.filter(a, a.value != \"\").filter(b, b.value in [\"x\", \"y\", b.value]).size() == 0",
        "[subject.common_name + \"a\"].filter(x, x in [x + x]).size() == 0",
        "subject_alt_names.all(a, [a.value + a.oid, \"\"].exists(x, x != x + \"a\"))",
        "subject.common_name.matches(\"^(a|aa|aaa)*$\") && size(subject.street_address) > 0",
        "(true ? subject_alt_names : [subject_alt_names[0]]).all(a, a.value < a.value + \"a\")",
    ];
    for policy in policies {
        let compiled = Policy::compile(policy).unwrap_or_else(|error| panic!("{policy}: {error}"));
        for facts in [crowded(), facts(), LeafFacts::default()] {
            let (_, spent) = run(&compiled.0.program, &facts, MAX_COST);
            assert!(
                spent <= compiled.cost() && compiled.cost() <= MAX_COST,
                "{policy}: {spent} of {}",
                compiled.cost()
            );
        }
    }
}

#[test]
fn too_costly_policies_are_refused_when_saved() {
    refused(
        "subject_alt_names.all(a, subject_alt_names.all(b, (a.value + b.value).matches(\"(a*)*b\")))",
        "could cost",
    );
    refused(
        "subject_alt_names.all(a, subject.common_name.matches(\"(a|b|c){9}\"))",
        "could cost",
    );
}

/// The second line of defence: a program that was never checked stops at the budget.
#[test]
fn an_unchecked_program_stops_at_the_budget() {
    use crate::policy::program::{Comprehension, Expr, Macro};
    let mut body = Expr::Bool(true);
    for _ in 0..7 {
        body = Expr::Comprehension(Box::new(Comprehension {
            what: Macro::All,
            list: Expr::Names,
            slot: 0,
            body,
        }));
    }
    // Neither `||` nor `&&` may hide that the budget is gone.
    let program = Expr::Logic(true, vec![body, Expr::Bool(true)].into());
    let (outcome, spent) = run(&program, &crowded(), MAX_COST);
    assert_eq!(outcome, Err(Halt::Error(EvaluationError::BudgetExceeded)));
    assert!(spent < MAX_COST + 1000);
}

#[test]
fn an_ill_typed_program_is_an_error_and_no_panic() {
    use crate::policy::program::Expr;
    for program in [
        Expr::Int(1),
        Expr::Not(Box::new(Expr::Int(1))),
        Expr::Variable(0),
        Expr::Variable(9),
    ] {
        assert_eq!(
            run(&program, &facts(), MAX_COST).0,
            Err(Halt::Error(EvaluationError::Mistyped))
        );
    }
}

/// Text made of the language's own words, which gets further than noise.
fn words() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "subject",
        ".",
        "common_name",
        "subject_alt_names",
        "exists",
        "all",
        "filter",
        "(",
        ")",
        "[",
        "]",
        ",",
        "san",
        "type",
        "value",
        "DNS",
        "==",
        "!=",
        "&&",
        "||",
        "!",
        "?",
        ":",
        "\"a\"",
        "'",
        "1",
        "-",
        "+",
        "*",
        "/",
        "%",
        "in",
        "size",
        "matches",
        "r\"a*\"",
        "true",
        " ",
        "å",
        "\n",
        "//",
        "{",
        "0x",
        "\\",
    ]);
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_text_panics_and_errors_point_into_it(text in prop_oneof![any::<String>(), words()]) {
        match compile(&text, Language::Policy) {
            Ok(policy) => {
                let (outcome, spent) = run(&policy.program, &crowded(), MAX_COST);
                prop_assert!(spent <= policy.cost);
                prop_assert!(!matches!(outcome, Err(Halt::Error(EvaluationError::Mistyped | EvaluationError::BudgetExceeded))));
            }
            Err(error) => {
                let line = text.split('\n').nth(error.line - 1);
                prop_assert!(line.is_some_and(|line| error.column <= line.chars().count() + 1), "{}", error);
            }
        }
    }
}

/// Half of what a thread of the standard library has, in a build without optimisation.
#[test]
fn the_deepest_policies_need_little_stack() {
    let nest = |open: &str, middle: &str, close: &str, levels| {
        format!("{}{middle}{}", open.repeat(levels), close.repeat(levels))
    };
    let policies = [
        nest("(", "true", ")", 31),
        nest("!(", "true", ")", 30),
        nest("true && (false || (", "true", "))", 14),
        nest("(true ? ", "true", " : false)", 15),
        nest("[", "true", "][0]", 15),
        nest("1 == size(\"\" + (1 == 1 ? \"a\" : \"", "", "\"))", 1),
        format!(
            "subject_alt_names.all(a, {})",
            nest("!(", "a.type == DNS", ")", 28)
        ),
    ];
    let thread = std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(move || {
            for policy in policies {
                let compiled =
                    Policy::compile(&policy).unwrap_or_else(|error| panic!("{policy}: {error}"));
                assert!(compiled.evaluate(&facts()).is_ok(), "{policy}");
            }
        });
    thread.unwrap().join().unwrap();
}
