//! What is refused, where the error points, and what it says.

use crate::policy::Policy;

const REFUSED: &[&str] = &[
    "",
    "  \n ",
    "subject.comon_name == \"a\"",
    "subject.CN == \"a\"",
    "subject.ou == \"a\"",
    "subject.zzz == \"a\"",
    "common_name == \"a\"",
    "subject_alt_name.exists(san, true)",
    "subject_alt_names.exists(san, sam.type == DNS)",
    "subject_alt_names.exists(san, san.typ == DNS)",
    "subject_alt_names.exists(san, san.type == \"DNS\")",
    "subject_alt_names.exists(san, san.value == DNS)",
    "subject_alt_names.exists(san, san == san)",
    "subject_alt_names.exists(subject, true)",
    "subject_alt_names.exists(a, subject_alt_names.exists(a, true))",
    "subject_alt_names.exists(1, true)",
    "subject_alt_names.exists(san)",
    "subject_alt_names.exists(san, san.value)",
    "subject_alt_names.map(san, san.value)",
    "subject_alt_names.value == \"a\"",
    "subject.common_name.exists(c, true)",
    "subject_alt_names == subject_alt_names",
    "subject_alt_names.filter(s, true)",
    "subject",
    "subject == \"a\"",
    "subject[\"common_name\"] == \"a\"",
    "subject.common_name[0] == \"a\"",
    "subject.common_name",
    "1 + 2",
    "\"a\" == 1",
    "\"a\" + 1 == \"a1\"",
    "true + true",
    "true < false",
    "!1",
    "-true",
    "-\"a\" == 1",
    "1 && true",
    "true || 1",
    "1 ? true : false",
    "(true ? 1 : \"a\") == 1",
    "\"a\" in \"abc\"",
    "1 in [\"a\"]",
    "[1, \"a\"].size() == 1",
    "[[1]].size() == 1",
    "1 in []",
    "has(subject.common_name)",
    "int(\"1\") == 1",
    "subject.common_name.startWith(\"a\")",
    "subject.common_name.startsWith()",
    "subject.common_name.startsWith(1)",
    "startsWith(subject.common_name, \"a\")",
    "subject.common_name.matches(subject.locality)",
    "subject.common_name.matches(\"(\")",
    "size(1) == 1",
    "true true",
    "true and true",
    "subject.organization == Production",
    "true &&",
    "(true",
    "true)",
    "[1, 2 == 1",
    "size(1,) == 1",
    "subject. == 1",
    "true = false",
    "true & false",
    "true | false",
    "null == null",
    "in == 1",
    "for == 1",
    "{} == {}",
    "1.5 == 1.5",
    "1u == 1u",
    "0x == 1",
    "1a == 1",
    "9223372036854775808 == 1",
    "b\"a\" == b\"a\"",
    "\"abc",
    "'a\nb'",
    "\"\"\"a\"",
    "\"\\q\" == \"\"",
    "\"\\u00\" == \"\"",
    "\"\\ud800\" == \"\"",
    "“a” == \"a\"",
    "@a",
    "subject.organization == \"åäö😀\" && subject.x == \"a\"",
    "true\n  && subject.organization == \"ö\"\n  && \"ö\" == ö",
    "true // ö\r\n && false1",
];

/// A caret under the place, as an editor would put it.
#[test]
fn refused_policies_say_where_and_what() {
    let mut report = String::new();
    for policy in REFUSED {
        let error = Policy::compile(policy).expect_err(policy);
        let line = policy.split('\n').nth(error.line - 1).unwrap().trim_end();
        let caret = " ".repeat(error.column - 1);
        report.push_str(&format!("{line}\n{caret}^\n{error}\n\n"));
    }
    insta::assert_snapshot!(report);
}

/// Apart from the others, because nobody can see these in a snapshot.
#[test]
fn control_characters_are_refused_wherever_they_stand() {
    for (policy, line, column, name) in [
        ("subject.organization == \"a\0\"", 1, 27, "U+0000"),
        ("\0", 1, 1, "U+0000"),
        ("true // a\u{7} bell\n && false", 1, 10, "U+0007"),
        ("true\n\u{85} && false", 2, 1, "U+0085"),
        ("true\n && \u{7f}false", 2, 5, "U+007F"),
        ("subject.organization == \"\u{1b}[2J\"", 1, 26, "U+001B"),
    ] {
        let error = Policy::compile(policy).expect_err(policy);
        assert_eq!((error.line, error.column), (line, column), "{error}");
        assert!(error.message.contains(name), "{error}");
    }
    // White space is none of them, and an escape is no control character in the text.
    for policy in ["\ttrue\r\n\x0c", "subject.organization != \"\\u0000\""] {
        assert!(Policy::compile(policy).is_ok(), "{policy}");
    }
}
