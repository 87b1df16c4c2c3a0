//! What policies answer.

use super::facts;
use crate::policy::{Attribute, EvaluationError, LeafFacts, NameType, Policy};

#[track_caller]
fn answer(policy: &str, facts: &LeafFacts) -> Result<bool, EvaluationError> {
    match Policy::compile(policy) {
        Ok(compiled) => compiled.evaluate(facts),
        Err(error) => panic!("{policy}: {error}"),
    }
}

/// Every one of them holds for [`facts`].
const SATISFIED: &[&str] = &[
    // The example of docs/specification.md, section 2.
    "subject.organizational_unit == \"Production\" && subject_alt_names.exists(san, \
         san.type == DNS && san.value.endsWith(\".example.com\"))",
    "true",
    "!false",
    "!!true",
    "true || false && false",
    "(false || true) && true",
    "1 + 2 * 3 == 7",
    "(1 + 2) * 3 == 9",
    "7 / 2 == 3 && -7 / 2 == -3 && 7 % 3 == 1 && -7 % 3 == -1",
    "10 - 2 - 3 == 5",
    "--3 == 3",
    "-9223372036854775808 < 0",
    "0xFF == 255 && -0x10 == -16",
    "1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3 && 1 != 2",
    "true ? true : false",
    "false ? false : true ? true : false",
    "(true ? 1 : 2) == 1",
    "1 == 1 == true",
    "\"a\" < \"b\" && \"a\" < \"aa\" && \"Z\" < \"a\"",
    "\"ab\" + 'c' == \"abc\"",
    "subject.common_name in [\"worker-6\", \"worker-7\"]",
    "!(subject.country_code in [\"NO\", \"DK\",])",
    "DNS in [URI, DNS]",
    "2 in [1, 2]",
    "subject.locality == \"\" && size(subject.locality) == 0",
    "size(\"åäö\") == 3 && \"åäö\".size() == 3",
    "size(subject_alt_names) == 7 && subject_alt_names.size() > 6",
    "subject.organization == \"Exämple AB\"",
    "subject.organization == \"Ex\\u00e4mple AB\"",
    "subject.organization == '''Exämple AB'''",
    "subject.organization.contains(\"ämp\")",
    "subject.common_name.startsWith(\"worker-\")",
    "subject.common_name.matches(\"^worker-[0-9]+$\")",
    "matches(subject.common_name, r\"^worker-\\d$\")",
    "subject.common_name.matches(\"ork\")",
    "subject_alt_names[0].type == DNS && subject_alt_names[0].oid == \"\"",
    "subject_alt_names[1].value == \"db.example.org\"",
    "[\"a\", \"b\"][1] == \"b\"",
    "subject_alt_names.all(san, san.value != \"\")",
    "subject_alt_names.exists_one(san, san.type == EMAIL)",
    "!subject_alt_names.exists_one(san, san.type == DNS)",
    "subject_alt_names.filter(san, san.type == IP_ADDRESS).size() == 2",
    "subject_alt_names.filter(san, san.type == IP_ADDRESS).exists(ip, ip.value == \"2001:db8::1\")",
    "subject_alt_names.filter(s, s.type == URI)[0].value.startsWith(\"spiffe://\")",
    "subject_alt_names.exists(s, s.type == CUSTOM && s.oid == \"1.3.6.1.4.1.311.20.2.3\" && s.value == \"ops@corp\")",
    "subject_alt_names.exists(a, subject_alt_names.exists(b, a.type == b.type && a.value != b.value))",
    "[\"api\", \"db\"].all(host, subject_alt_names.exists(s, s.value.startsWith(host + \".example.\")))",
    "[1, 2, 3].filter(n, n % 2 == 1).size() == 2",
    "2 in [1, 2, 3].filter(n, n > 1)",
    "[true, 1 == 1].all(b, b)",
    "// a comment\n  true // another",
    "subject . common_name\n==\t\"worker-7\"",
    "'a\"b' == \"a\\\"b\" && \"\\x41\\101\\U0001F600\" == 'AA😀'",
    "r'\\d' == \"\\\\d\" && R\"\"\"a\nb\"\"\" == \"a\\nb\"",
    "\"\" == '' && \"\"\"\"\"\" == ''",
    "(true ? subject_alt_names : subject_alt_names.filter(s, false)).size() == 7",
];

#[test]
fn policies_that_this_leaf_satisfies() {
    for &policy in SATISFIED {
        assert_eq!(answer(policy, &facts()), Ok(true), "{policy}");
        assert_eq!(
            answer(&format!("!({policy}\n)"), &facts()),
            Ok(false),
            "not {policy}"
        );
    }
}

#[test]
fn errors_are_errors_unless_the_other_operand_decides() {
    use EvaluationError::{DivisionByZero, IndexOutOfRange, Overflow};
    let policies = [
        ("1 / 0 == 1", Err(DivisionByZero)),
        ("1 % 0 == 1", Err(DivisionByZero)),
        ("9223372036854775807 + 1 == 0", Err(Overflow)),
        ("-9223372036854775808 - 1 == 0", Err(Overflow)),
        ("-9223372036854775808 / -1 == 0", Err(Overflow)),
        ("-9223372036854775808 % -1 == 0", Err(Overflow)),
        ("-(-9223372036854775808) == 0", Err(Overflow)),
        ("4611686018427387904 * 2 == 0", Err(Overflow)),
        ("subject_alt_names[7].value == \"\"", Err(IndexOutOfRange)),
        ("subject_alt_names[-1].value == \"\"", Err(IndexOutOfRange)),
        ("[1][1] == 1", Err(IndexOutOfRange)),
        ("!(1 / 0 == 1)", Err(DivisionByZero)),
        ("1 / 0 == 1 || true", Ok(true)),
        ("true || 1 / 0 == 1", Ok(true)),
        ("1 / 0 == 1 && false", Ok(false)),
        ("1 / 0 == 1 || false", Err(DivisionByZero)),
        ("1 / 0 == 1 && true", Err(DivisionByZero)),
        ("[0, 1].exists(n, 1 / n == 1)", Ok(true)),
        ("[0, 2].exists(n, 1 / n == 1)", Err(DivisionByZero)),
        ("[0, 2].all(n, 1 / n == 1)", Ok(false)),
        ("[0, 1].all(n, 1 / n == 1)", Err(DivisionByZero)),
        ("[0, 1].exists_one(n, 1 / n == 1)", Err(DivisionByZero)),
        (
            "[0, 1].filter(n, 1 / n == 1).size() == 1",
            Err(DivisionByZero),
        ),
        ("1 in [1, 1 / 0]", Err(DivisionByZero)),
        ("[1, 1 / 0].exists(n, n == 1)", Err(DivisionByZero)),
        ("(1 / 0 == 1) ? true : true", Err(DivisionByZero)),
        ("true ? true : 1 / 0 == 1", Ok(true)),
    ];
    for (policy, expected) in policies {
        assert_eq!(answer(policy, &facts()), expected, "{policy}");
    }
}

/// Each asks something of a text that cannot be relied on.
const QUESTIONS: &[&str] = &[
    "subject.organization == \"Good\"",
    "subject.organization < \"Good\"",
    "subject.organization in [\"Good\"]",
    "\"x\" in [\"x\", subject.organization]",
    "subject.organization.startsWith(\"Good\")",
    "subject.organization.endsWith(\"Good\")",
    "subject.organization.contains(\"Good\")",
    "subject.organization.matches(\"Good\")",
    "subject.organization == subject.organization",
    "size(subject.organization) > 0",
    "[subject.organization].exists(o, true)",
    "(subject.organization == \"Good\" ? 1 : 2) > 0",
    "subject.organization + \"x\" == \"x\"",
    "subject.organization == \"Good\" || subject.organization != \"Good\"",
    "subject_alt_names.exists(s, s.value == \"a\")",
    "subject_alt_names.all(s, s.value.startsWith(\"a\"))",
    "subject_alt_names.exists_one(s, s.value == \"a\")",
    "size(subject_alt_names.filter(s, s.value == \"a\")) == 0",
];

/// No question about a text that cannot be relied on is answered with yes, nor is its opposite.
#[test]
fn nothing_permits_by_a_text_that_cannot_be_relied_on() {
    let repeated = LeafFacts::default()
        .with_attribute(Attribute::Organization, "Good")
        .with_attribute(Attribute::Organization, "Evil")
        .with_name(NameType::Dns, "a\0b", "");
    let same_twice = LeafFacts::default()
        .with_attribute(Attribute::Organization, "Good")
        .with_attribute(Attribute::Organization, "Good")
        .with_name(NameType::Unnamed, "x", "")
        .with_name(NameType::Uri, &"u".repeat(2049), "");
    let empty_twice = LeafFacts::default()
        .with_attribute(Attribute::Organization, "")
        .with_attribute(Attribute::Organization, "")
        .with_name(NameType::Dns, "\u{85}", "");
    let control = LeafFacts::default()
        .with_attribute(Attribute::Organization, "Good\0Evil")
        .with_name(NameType::Dns, "x\ny", "");
    for facts in [repeated, same_twice, empty_twice, control] {
        for &question in QUESTIONS {
            for policy in [
                question.to_owned(),
                format!("!({question})"),
                format!("({question}) != true"),
            ] {
                assert_eq!(answer(&policy, &facts), Ok(false), "{policy} on {facts:?}");
            }
        }
        assert_eq!(
            answer("subject.organization == \"\" || true", &facts),
            Ok(true)
        );
        assert!(
            facts
                .unusable()
                .any(|text| text.starts_with("`subject.organization`"))
        );
        assert!(
            facts
                .unusable()
                .any(|text| text.starts_with("`subject_alt_names["))
        );
    }
}

#[test]
fn a_name_of_another_kind_cannot_hide() {
    let facts = LeafFacts::default()
        .with_name(NameType::Dns, "a.example.com", "")
        .with_name(NameType::Unnamed, "", "");
    assert_eq!(
        answer("subject_alt_names.all(s, s.type == DNS)", &facts),
        Ok(false)
    );
    assert_eq!(answer("size(subject_alt_names) == 2", &facts), Ok(true));
    assert_eq!(
        answer(
            "subject_alt_names.exists(s, s.value == \"a.example.com\")",
            &facts
        ),
        Ok(true)
    );
}

#[test]
fn too_many_names_or_too_much_text_in_them_is_an_error_only_where_names_are_read() {
    let many = (0..101).fold(LeafFacts::default(), |facts, _| {
        facts.with_name(NameType::Dns, "a", "")
    });
    let long = (0..5).fold(LeafFacts::default(), |facts, _| {
        facts.with_name(NameType::Dns, &"a".repeat(2000), "")
    });
    for facts in [many, long] {
        let asked = answer("subject_alt_names.exists(s, s.value == \"a\")", &facts);
        assert_eq!(asked, Err(EvaluationError::TooManyNames));
        assert_eq!(answer("subject.common_name == \"\"", &facts), Ok(true));
    }
    let most = (0..100).fold(LeafFacts::default(), |facts, _| {
        facts.with_name(NameType::Dns, "a", "")
    });
    assert_eq!(
        answer("subject_alt_names.all(s, s.value == \"a\")", &most),
        Ok(true)
    );
}

/// The page that users read shows only policies that compile, and names the limits as they are.
#[test]
fn the_documentation_is_true() {
    use crate::policy::limits;
    let page = include_str!("../../../../../docs/policy.md");
    let block = page
        .split("```cel\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    assert_eq!(answer(block.unwrap(), &facts()), Ok(true));
    let examples = page.split("## Examples").nth(1).unwrap();
    let rows = examples
        .lines()
        .filter_map(|row| row.split(" | `").nth(1)?.strip_suffix("` |"));
    assert!(rows.clone().count() >= 5);
    for policy in rows {
        assert!(answer(policy, &facts()).is_ok(), "{policy}");
    }
    for limit in [
        "| length | 4,096 bytes |",
        "| nesting | 32 levels |",
        "| terms | 600 |",
        "| comprehensions inside one another | 2 |",
        "| one compiled pattern | 16 KiB |",
        "| names that a leaf may have | 100, with 8 KiB",
        "| worst cost | 10,000,000 units",
        "longer than 2,048 bytes",
    ] {
        assert!(page.contains(limit), "{limit}");
    }
    assert_eq!(
        (
            limits::MAX_POLICY_BYTES,
            limits::MAX_DEPTH,
            limits::MAX_TERMS
        ),
        (4096, 32, 600)
    );
    assert_eq!(
        (limits::MAX_NESTED_COMPREHENSIONS, limits::MAX_REGEX_BYTES),
        (2, 16 * 1024)
    );
    assert_eq!(
        (limits::MAX_NAMES, limits::MAX_NAMES_BYTES),
        (100, 8 * 1024)
    );
    assert_eq!(
        (limits::MAX_COST, limits::MAX_TEXT_BYTES),
        (10_000_000, 2048)
    );
}
