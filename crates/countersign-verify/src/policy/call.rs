//! Functions, methods and macros.

use regex_lite::RegexBuilder;

use super::{
    check::{Checked, Checker, Type, Variable},
    cost::Bound,
    error::Refusal,
    facts::NameType,
    limits::{ELEMENT, MAX_NESTED_COMPREHENSIONS, MAX_REGEX_BYTES},
    program::{Comprehension, Expr, Macro, Pattern, TextTest},
    syntax::{Syntax, SyntaxKind},
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

impl<'a> Checker<'a> {
    pub(super) fn call(
        &mut self,
        at: usize,
        of: Option<&Syntax<'a>>,
        name: &'a str,
        arguments: &[Syntax<'a>],
    ) -> Result<Checked, Refusal> {
        match (of, name, arguments) {
            (Some(list), "exists", [variable, body]) => {
                self.comprehension(Macro::Exists, name, list, [variable, body])
            }
            (Some(list), "all", [variable, body]) => {
                self.comprehension(Macro::All, name, list, [variable, body])
            }
            (Some(list), "exists_one", [variable, body]) => {
                self.comprehension(Macro::ExistsOne, name, list, [variable, body])
            }
            (Some(list), "filter", [variable, body]) => {
                self.comprehension(Macro::Filter, name, list, [variable, body])
            }
            (Some(value), "size", []) | (None, "size", [value]) => self.size(value),
            (Some(text), "startsWith", [part]) => {
                self.text_test(TextTest::StartsWith, name, text, part)
            }
            (Some(text), "endsWith", [part]) => {
                self.text_test(TextTest::EndsWith, name, text, part)
            }
            (Some(text), "contains", [part]) => {
                self.text_test(TextTest::Contains, name, text, part)
            }
            (Some(text), "matches", [pattern]) | (None, "matches", [text, pattern]) => {
                self.matches(text, pattern)
            }
            _ => Err(unknown(at, of.is_some(), name)),
        }
    }

    fn size(&mut self, value: &Syntax<'a>) -> Result<Checked, Refusal> {
        let checked = self.check(value)?;
        if !checked.of.list && checked.of != Type::TEXT {
            let message = format!("`size` needs a string or a list, not {}", checked.of);
            return Err(Refusal::new(value.at, message));
        }
        let read = if checked.of.list {
            Bound::default()
        } else {
            checked.text
        };
        Ok(Checked::new(
            Expr::Size(Box::new(checked.expr)),
            Type::INT,
            checked.cost.plus(read),
        ))
    }

    fn text_test(
        &mut self,
        test: TextTest,
        name: &str,
        text: &Syntax<'a>,
        part: &Syntax<'a>,
    ) -> Result<Checked, Refusal> {
        let text = self.operand(name, text, Type::TEXT)?;
        let part = self.operand(name, part, Type::TEXT)?;
        let read = match test {
            TextTest::Contains => text.text.contains(part.text),
            TextTest::StartsWith | TextTest::EndsWith => text.text.shorter(part.text),
        };
        let cost = text.cost.plus(part.cost).plus(read);
        Ok(Checked::new(
            Expr::TextTest(test, Box::new([text.expr, part.expr])),
            Type::BOOL,
            cost,
        ))
    }

    fn matches(&mut self, text: &Syntax<'a>, pattern: &Syntax<'a>) -> Result<Checked, Refusal> {
        let text = self.operand("matches", text, Type::TEXT)?;
        let SyntaxKind::Text(source) = &pattern.kind else {
            return Err(Refusal::new(
                pattern.at,
                "the pattern of `matches` must be a string literal",
            ));
        };
        let pattern = compile(pattern.at, source)?;
        let read = text.text.plus(Bound::fixed(1)).times(pattern.per_byte);
        let expr = Expr::Matches(Box::new(text.expr), Box::new(pattern));
        Ok(Checked::new(expr, Type::BOOL, text.cost.plus(read)))
    }

    fn comprehension(
        &mut self,
        what: Macro,
        called: &str,
        list: &Syntax<'a>,
        [variable, body]: [&Syntax<'a>; 2],
    ) -> Result<Checked, Refusal> {
        let range = self.check(list)?;
        if !range.of.list {
            return Err(Refusal::new(
                list.at,
                format!("only a list has members to look at, not {}", range.of),
            ));
        }
        let slot = self.variables.len();
        if slot == MAX_NESTED_COMPREHENSIONS {
            let message =
                format!("more than {MAX_NESTED_COMPREHENSIONS} comprehensions inside one another");
            return Err(Refusal::new(variable.at, message));
        }
        let name = self.variable(variable)?;
        let text = if range.names {
            Bound::name_in(slot)
        } else {
            range.text
        };
        self.variables.push(Variable {
            name,
            of: Type::one(range.of.scalar),
            text,
        });
        let body = self.operand(called, body, Type::BOOL);
        self.variables.pop();
        let body = body?;
        let each = body.cost.plus(Bound::fixed(ELEMENT));
        let loops = if range.names {
            each.for_each_name(slot)
        } else {
            each.for_each(range.items, range.text)
        };
        let of = if matches!(what, Macro::Filter) {
            range.of
        } else {
            Type::BOOL
        };
        let expr = Comprehension {
            what,
            list: range.expr,
            slot,
            body: body.expr,
        };
        let expr = Expr::Comprehension(Box::new(expr));
        Ok(Checked {
            text: range.text,
            items: range.items,
            names: range.names,
            ..Checked::new(expr, of, range.cost.plus(loops))
        })
    }

    /// The name of a comprehension's variable, which must be new.
    fn variable(&self, syntax: &Syntax<'a>) -> Result<&'a str, Refusal> {
        let SyntaxKind::Name(name) = syntax.kind else {
            return Err(Refusal::new(syntax.at, "expected the name of a variable")
                .suggest("write for example `.exists(san, san.type == DNS)`"));
        };
        let taken = ["subject", "subject_alt_names"].contains(&name)
            || NameType::CONSTANTS
                .iter()
                .any(|(constant, _)| *constant == name)
            || self.variables.iter().any(|variable| variable.name == name);
        if taken {
            return Err(
                Refusal::new(syntax.at, format!("`{name}` already means something here"))
                    .suggest("choose another name for the variable"),
            );
        }
        Ok(name)
    }
}

/// The error for a call that is none of ours, or is one with other arguments.
fn unknown(at: usize, method: bool, name: &str) -> Refusal {
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
