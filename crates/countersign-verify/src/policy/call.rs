//! The functions and methods on strings and lists, given their checked arguments; and what to say
//! of a call to anything else.

use regex_lite::RegexBuilder;

use super::{
    cost::Bound,
    error::Refusal,
    limits::MAX_REGEX_BYTES,
    program::{Expr, Pattern, TextTest},
    types::{Checked, Type},
};

/// What can be called, for suggestions.
const CALLABLE: [&str; 9] = [
    "exists",
    "all",
    "exists_one",
    "filter",
    "size",
    "startsWith",
    "endsWith",
    "contains",
    "matches",
];

/// `size(value)` or `value.size()`, the value standing at `at`.
pub(super) fn size(value: Checked, at: usize) -> Result<Checked, Refusal> {
    if !value.of.list && value.of != Type::TEXT {
        let message = format!("`size` needs a string or a list, not {}", value.of);
        return Err(Refusal::new(at, message));
    }
    // Strings are counted in characters, so the whole text is read; a list knows its length.
    let read = if value.of.list {
        Bound::default()
    } else {
        value.text
    };
    let cost = value.cost.plus(read);
    let expr = Expr::Size(Box::new(value.expr));
    Ok(Checked::new(expr, Type::INT, cost))
}

/// `startsWith`, `endsWith` or `contains`, of two strings.
pub(super) fn text_test(test: TextTest, text: Checked, part: Checked) -> Checked {
    let read = match test {
        TextTest::Contains => text.text.contains(part.text),
        TextTest::StartsWith | TextTest::EndsWith => text.text.shorter(part.text),
    };
    let cost = text.cost.plus(part.cost).plus(read);
    let expr = Expr::TextTest(test, Box::new([text.expr, part.expr]));
    Checked::new(expr, Type::BOOL, cost)
}

/// `matches`, of a string and the pattern that is written at `at`.
pub(super) fn matches(text: Checked, pattern: &str, at: usize) -> Result<Checked, Refusal> {
    let pattern = compile(at, pattern)?;
    let read = text.text.plus(Bound::fixed(1)).times(pattern.per_byte);
    let expr = Expr::Matches(Box::new(text.expr), Box::new(pattern));
    Ok(Checked::new(expr, Type::BOOL, text.cost.plus(read)))
}

/// The error for a call of an unknown function, or of a known one with other arguments.
pub(super) fn unknown(at: usize, method: bool, name: &str) -> Refusal {
    let usage = match name {
        "exists" | "all" | "exists_one" | "filter" => format!("`list.{name}(variable, condition)`"),
        "startsWith" | "endsWith" | "contains" | "matches" => format!("`string.{name}(\"…\")`"),
        "size" => "`size(value)` or `value.size()`".to_owned(),
        "map" => {
            return Refusal::new(at, "`map` is not supported")
                .suggest("use `exists`, `all` or `filter` on the list itself");
        }
        "has" => {
            return Refusal::new(at, "`has` is not supported")
                .suggest("an absent attribute is `\"\"`: write `subject.common_name != \"\"`");
        }
        _ => {
            let kind = if method { "method" } else { "function" };
            return Refusal::new(at, format!("unknown {kind} `{name}`")).nearest(name, "", CALLABLE.into_iter(), "there are `exists`, `all`, `exists_one`, `filter`, `size`, `startsWith`, `endsWith`, `contains` and `matches`");
        }
    };
    Refusal::new(at, format!("`{name}` is not called like this")).suggest(format!("write {usage}"))
}

/// Compiles a pattern and finds its price by the smallest memory that it fits in.
fn compile(at: usize, source: &str) -> Result<Pattern, Refusal> {
    let build = |limit| RegexBuilder::new(source).size_limit(limit).build();
    let mut limit = 1024;
    loop {
        match build(limit) {
            Ok(regex) => {
                return Ok(Pattern {
                    regex,
                    per_byte: limit as u64 / BYTES_PER_UNIT,
                });
            }
            Err(_) if limit < MAX_REGEX_BYTES => limit *= 2,
            Err(error) => {
                let message = format!("the pattern cannot be used: {error}");
                return Err(Refusal::new(at, message));
            }
        }
    }
}

/// A state of a compiled pattern takes 32 bytes and some 8 units for each byte of text.
const BYTES_PER_UNIT: u64 = 4;
