//! Syntax into a program: every name exists, every operand has the right type, the cost is known.

use super::{
    call,
    cost::Bound,
    error::Refusal,
    language::Language,
    limits::{ELEMENT, MAX_COST, MAX_NAMES, MAX_NESTED_COMPREHENSIONS},
    names, operator,
    program::{Comprehension, Expr, Macro, NameField, TextTest},
    syntax::{Syntax, SyntaxKind},
    types::{Checked, Scalar, Type},
};

/// The variable of a comprehension.
struct Variable<'a> {
    name: &'a str,
    of: Type,
    /// The length of its text.
    text: Bound,
}

/// Checks a whole policy and gives its program with its worst cost.
pub(super) fn check(syntax: &Syntax<'_>, language: Language) -> Result<(Expr, u64), Refusal> {
    let checked = Checker {
        language,
        variables: Vec::new(),
    }
    .check(syntax)?;
    language.must_yield(checked.of, syntax.at)?;
    let cost = checked.cost.total();
    if cost > MAX_COST {
        let message = format!(
            "the {} could cost {cost} units on a crowded leaf, over the limit of {MAX_COST}",
            language.noun()
        );
        return Err(Refusal::new(syntax.at, message).suggest(
            "move `matches` and `contains` out of nested comprehensions, or shorten the patterns",
        ));
    }
    Ok((checked.expr, cost))
}

struct Checker<'a> {
    language: Language,
    /// The variables of the comprehensions around; the index is the slot.
    variables: Vec<Variable<'a>>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, syntax: &Syntax<'a>) -> Result<Checked, Refusal> {
        let at = syntax.at;
        Ok(match &syntax.kind {
            SyntaxKind::Bool(value) => {
                Checked::new(Expr::Bool(*value), Type::BOOL, Bound::default())
            }
            SyntaxKind::Int(value) => Checked::new(Expr::Int(*value), Type::INT, Bound::default()),
            SyntaxKind::Text(value) => {
                let expr = Expr::Text(value.as_str().into());
                Checked::new(expr, Type::TEXT, Bound::default())
                    .with_text(Bound::fixed(value.len() as u64))
            }
            SyntaxKind::Name(name) => self.name(at, name)?,
            SyntaxKind::Field(of, name) => self.field(at, of, name)?,
            SyntaxKind::Call(of, name, arguments) => {
                self.call(at, of.as_deref(), name, arguments)?
            }
            SyntaxKind::List(items) => self.list(at, items)?,
            SyntaxKind::Index(list, index) => self.index(list, index)?,
            SyntaxKind::Not(operand) => {
                let operand = self.operand("!", operand, Type::BOOL)?;
                Checked::new(Expr::Not(Box::new(operand.expr)), Type::BOOL, operand.cost)
            }
            SyntaxKind::Negate(operand) => {
                let operand = self.operand("-", operand, Type::INT)?;
                Checked::new(
                    Expr::Negate(Box::new(operand.expr)),
                    Type::INT,
                    operand.cost,
                )
            }
            SyntaxKind::Binary(operator, left, right) => {
                let (left, right) = (self.check(left)?, self.check(right)?);
                operator::binary(at, *operator, left, right)?
            }
            SyntaxKind::And(operands) => self.logic("&&", false, operands)?,
            SyntaxKind::Or(operands) => self.logic("||", true, operands)?,
            SyntaxKind::Choice(parts) => self.choice(at, parts)?,
        })
    }

    /// Checks an operand that must have this type.
    fn operand(
        &mut self,
        operator: &str,
        syntax: &Syntax<'a>,
        wanted: Type,
    ) -> Result<Checked, Refusal> {
        self.check(syntax)?.must_be(wanted, operator, syntax.at)
    }

    fn name(&self, at: usize, name: &str) -> Result<Checked, Refusal> {
        if let Some((slot, variable)) = self
            .variables
            .iter()
            .enumerate()
            .find(|(_, v)| v.name == name)
        {
            // A text that was put together is copied when it is read.
            let copy = if variable.of == Type::TEXT {
                variable.text
            } else {
                Bound::default()
            };
            return Ok(
                Checked::new(Expr::Variable(slot), variable.of, copy).with_text(variable.text)
            );
        }
        if let Some(kind) = names::constant(name) {
            return Ok(Checked::new(
                Expr::NameType(kind),
                Type::one(Scalar::NameType),
                Bound::default(),
            ));
        }
        match (self.language, name) {
            (Language::Policy, "subject_alt_names") => Ok(all_names()),
            (Language::Policy, "subject") => Err(names::not_a_value(at, self.language, "subject")),
            (Language::Condition | Language::Transformation, "assertion") => {
                Err(Refusal::new(at, "`assertion` is not a value of its own")
                    .suggest("it has `assertion.subject` and `assertion.subject_alt_names`"))
            }
            _ => {
                let variables = self.variables.iter().map(|variable| variable.name);
                Err(names::unknown(at, name, self.language, variables))
            }
        }
    }

    /// Whether this is the leaf's subject: `subject`, or `assertion.subject`.
    fn is_subject(&self, syntax: &Syntax<'_>) -> bool {
        match (self.language, &syntax.kind) {
            (Language::Policy, SyntaxKind::Name(name)) => *name == "subject",
            (Language::Condition | Language::Transformation, SyntaxKind::Field(of, name)) => {
                *name == "subject" && matches!(of.kind, SyntaxKind::Name("assertion"))
            }
            _ => false,
        }
    }

    /// A field of `assertion` that is used by itself.
    fn asserted(&self, at: usize, name: &str) -> Result<Checked, Refusal> {
        match name {
            "subject_alt_names" => Ok(all_names()),
            "subject" => Err(names::not_a_value(at, self.language, "assertion.subject")),
            _ => Err(names::not_asserted(at, name)),
        }
    }

    fn field(&mut self, at: usize, of: &Syntax<'a>, name: &str) -> Result<Checked, Refusal> {
        if self.is_subject(of) {
            let attribute = names::attribute(at, name, self.language)?;
            return Ok(
                Checked::new(Expr::Attribute(attribute), Type::TEXT, Bound::default())
                    .with_text(Bound::ANY_TEXT),
            );
        }
        if self.language != Language::Policy && matches!(of.kind, SyntaxKind::Name("assertion")) {
            return self.asserted(at, name);
        }
        let owner = self.check(of)?;
        if owner.of != Type::one(Scalar::Name) {
            let refusal = Refusal::new(at, format!("{} has no field `{name}`", owner.of));
            return Err(if owner.of.list && owner.of.scalar == Scalar::Name {
                refusal.suggest(format!("ask each of them: `.exists(san, san.{name} …)`"))
            } else {
                refusal
            });
        }
        let (field, of) = match name {
            "type" => (NameField::Type, Type::one(Scalar::NameType)),
            "value" => (NameField::Value, Type::TEXT),
            "oid" => (NameField::Oid, Type::TEXT),
            _ => {
                return Err(Refusal::new(
                    at,
                    format!("a subject alternative name has no field `{name}`"),
                )
                .nearest(
                    name,
                    "",
                    ["type", "value", "oid"].into_iter(),
                    "it has `type`, `value` and `oid`",
                ));
            }
        };
        Ok(
            Checked::new(Expr::NameField(field, Box::new(owner.expr)), of, owner.cost)
                .with_text(owner.text),
        )
    }

    fn list(&mut self, at: usize, items: &[Syntax<'a>]) -> Result<Checked, Refusal> {
        let (mut exprs, mut cost, mut text) = (Vec::new(), Bound::default(), Bound::default());
        let mut first = None;
        for item in items {
            let checked = self.check(item)?;
            if checked.of.list {
                return Err(Refusal::new(item.at, "a list cannot hold lists"));
            }
            let of = *first.get_or_insert(checked.of);
            if checked.of != of {
                let message = format!("this is {} in a list that begins with {of}", checked.of);
                return Err(Refusal::new(item.at, message));
            }
            cost = cost.plus(checked.cost).plus(Bound::fixed(ELEMENT));
            text = text.or(checked.text);
            exprs.push(checked.expr);
        }
        let Some(of) = first else {
            return Err(Refusal::new(at, "an empty list matches nothing")
                .suggest("write `false` instead of the test"));
        };
        let items = exprs.len() as u64;
        let of = Type { list: true, ..of };
        Ok(Checked {
            items,
            ..Checked::new(Expr::List(exprs.into()), of, cost).with_text(text)
        })
    }

    fn index(&mut self, list: &Syntax<'a>, index: &Syntax<'a>) -> Result<Checked, Refusal> {
        if self.is_subject(list) {
            let root = self.language.root();
            let refusal = Refusal::new(list.at, format!("`{root}subject` cannot be indexed"));
            return Err(refusal.suggest(format!(
                "write `{root}subject.common_name`, without brackets"
            )));
        }
        let owner = self.check(list)?;
        if !owner.of.list {
            return Err(Refusal::new(
                list.at,
                format!("only a list can be indexed, not {}", owner.of),
            ));
        }
        let index = self.operand("[]", index, Type::INT)?;
        let of = Type::one(owner.of.scalar);
        let expr = Expr::Index(Box::new([owner.expr, index.expr]));
        Ok(Checked::new(expr, of, owner.cost.plus(index.cost)).with_text(owner.text))
    }

    fn logic(
        &mut self,
        operator: &str,
        decisive: bool,
        operands: &[Syntax<'a>],
    ) -> Result<Checked, Refusal> {
        let (mut exprs, mut cost) = (Vec::new(), Bound::default());
        for operand in operands {
            let checked = self.operand(operator, operand, Type::BOOL)?;
            cost = cost.plus(checked.cost);
            exprs.push(checked.expr);
        }
        Ok(Checked::new(
            Expr::Logic(decisive, exprs.into()),
            Type::BOOL,
            cost,
        ))
    }

    fn choice(&mut self, at: usize, parts: &[Syntax<'a>; 3]) -> Result<Checked, Refusal> {
        let [condition, yes, no] = parts;
        let condition = self.operand("?", condition, Type::BOOL)?;
        let (yes, no) = (self.check(yes)?, self.check(no)?);
        if yes.of != no.of {
            let message = format!(
                "`?` chooses between {} and {}; both must have the same type",
                yes.of, no.of
            );
            return Err(Refusal::new(at, message));
        }
        let cost = condition.cost.plus(yes.cost.or(no.cost));
        Ok(Checked {
            of: yes.of,
            text: yes.text.or(no.text),
            items: yes.items.max(no.items),
            names: yes.names && no.names,
            ..Checked::new(
                Expr::Choice(Box::new([condition.expr, yes.expr, no.expr])),
                yes.of,
                cost,
            )
        })
    }

    fn call(
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
            (Some(value), "size", []) | (None, "size", [value]) => {
                call::size(self.check(value)?, value.at)
            }
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
            _ => Err(call::unknown(at, of.is_some(), name)),
        }
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
        Ok(call::text_test(test, text, part))
    }

    fn matches(&mut self, text: &Syntax<'a>, pattern: &Syntax<'a>) -> Result<Checked, Refusal> {
        let text = self.operand("matches", text, Type::TEXT)?;
        // A pattern that is only known when the policy runs would have to be compiled for each
        // certificate, and its cost could not be bounded when the policy is saved.
        let SyntaxKind::Text(source) = &pattern.kind else {
            return Err(Refusal::new(
                pattern.at,
                "the pattern of `matches` must be a string literal",
            ));
        };
        call::matches(text, source, pattern.at)
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
        let taken = self.language.names().contains(&name)
            || names::constant(name).is_some()
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

/// `subject_alt_names`, or `assertion.subject_alt_names`.
fn all_names() -> Checked {
    let of = Type {
        scalar: Scalar::Name,
        list: true,
    };
    Checked {
        items: MAX_NAMES as u64,
        names: true,
        ..Checked::new(Expr::Names, of, Bound::default()).with_text(Bound::ANY_TEXT)
    }
}
