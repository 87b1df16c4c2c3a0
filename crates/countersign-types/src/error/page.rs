//! `docs/errors.md` has a section for each code. Its first line is made of the table;
//! `UPDATE_PAGES=1` writes those lines anew.

use std::{collections::BTreeMap, fs};

use super::ErrorCode;

const SOURCE: &str = include_str!("../error.rs");
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

/// What the table says of each code.
fn comments() -> BTreeMap<&'static str, &'static str> {
    let mut comments = BTreeMap::new();
    let mut about = "";
    for line in SOURCE.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("/// ") {
            about = comment;
        } else if let Some((_, rest)) = line.split_once(" = \"")
            && let Some((code, _)) = rest.split_once("\", ")
        {
            comments.insert(code, about);
        }
    }
    comments
}

/// The first line of a code's section.
fn first_line(code: ErrorCode) -> String {
    let comments = comments();
    let about = comments.get(code.as_str()).unwrap();
    format!("{}, `{}`: {about}", code.status(), code.kind())
}

/// The sections of the page: each with its code and its lines.
fn sections(page: &str) -> Vec<(&str, Vec<&str>)> {
    page.split("\n## `")
        .skip(1)
        .map(|section| {
            let (code, rest) = section.split_once("`\n").unwrap();
            (code, rest.lines().collect())
        })
        .collect()
}

#[test]
fn the_page_has_a_section_for_each_code() {
    let mut page = fs::read_to_string(PAGE).unwrap();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        for (code, lines) in sections(&page.clone()) {
            if let (Some(code), Some(there)) = (ErrorCode::from_code(code), lines.get(1)) {
                page = page.replace(there, &first_line(code));
            }
        }
        fs::write(PAGE, &page).unwrap();
    }
    let sections = sections(&page);
    let codes: Vec<&str> = sections.iter().map(|(code, _)| *code).collect();
    let all: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes, all, "the sections follow the table");
    for ((name, lines), code) in sections.iter().zip(ErrorCode::ALL) {
        let wanted = first_line(*code);
        assert_eq!(
            lines.get(1),
            Some(&wanted.as_str()),
            "run with UPDATE_PAGES=1"
        );
        for part in ["- **Cause:** ", "- **See it:** ", "- **Mend it:** "] {
            let has = lines.iter().any(|line| line.starts_with(part));
            assert!(has, "`{name}` has no `{part}`");
        }
    }
}
