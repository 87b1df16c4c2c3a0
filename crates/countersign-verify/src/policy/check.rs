//! Syntax into a program: every name exists, every operand has the right type, the cost is known.

use super::{
    cost::Bound,
    error::Refusal,
    facts::{Attribute, NameType},
    limits::{ELEMENT, MAX_COST, MAX_NAMES},
    operator,
    program::{Expr, NameField},
    syntax::{Syntax, SyntaxKind},
};

/// The type of a single value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Int,
    Text,
    NameType,
    /// A subject alternative name.
    Name,
}

/// The type of an expression: a value or a list of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) scalar: Scalar,
    pub(super) list: bool,
}

impl Type {
    pub(super) const BOOL: Self = Self::one(Scalar::Bool);
    pub(super) const INT: Self = Self::one(Scalar::Int);
    pub(super) const TEXT: Self = Self::one(Scalar::Text);

    pub(super) const fn one(scalar: Scalar) -> Self {
        Self {
            scalar,
            list: false,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.list, self.scalar) {
            (false, Scalar::Bool) => "a bool",
            (false, Scalar::Int) => "an int",
            (false, Scalar::Text) => "a string",
            (false, Scalar::NameType) => "a name type",
            (false, Scalar::Name) => "a subject alternative name",
            (true, Scalar::Bool) => "a list of bools",
            (true, Scalar::Int) => "a list of ints",
            (true, Scalar::Text) => "a list of strings",
            (true, Scalar::NameType) => "a list of name types",
            (true, Scalar::Name) => "a list of subject alternative names",
        })
    }
}

/// A checked expression.
pub(super) struct Checked {
    pub(super) expr: Expr,
    pub(super) of: Type,
    pub(super) cost: Bound,
    /// The length of its text, or of the text of each of its elements.
    pub(super) text: Bound,
    /// How many elements it has, if it is a list.
    pub(super) items: u64,
    /// Whether it is `subject_alt_names` or a part of it, whose texts together are bounded.
    pub(super) names: bool,
}

impl Checked {
    /// An expression that has no text and is no list.
    pub(super) fn new(expr: Expr, of: Type, cost: Bound) -> Self {
        Self {
            expr,
            of,
            cost: cost.plus(Bound::TERM),
            text: Bound::default(),
            items: 0,
            names: false,
        }
    }

    pub(super) fn with_text(self, text: Bound) -> Self {
        Self { text, ..self }
    }
}

pub(super) struct Variable<'a> {
    pub(super) name: &'a str,
    pub(super) of: Type,
    pub(super) text: Bound,
}

/// Checks a whole policy and gives its program with its worst cost.
pub(super) fn check(syntax: &Syntax<'_>) -> Result<(Expr, u64), Refusal> {
    let checked = Checker {
        variables: Vec::new(),
    }
    .check(syntax)?;
    if checked.of != Type::BOOL {
        return Err(Refusal::new(
            syntax.at,
            format!("the policy yields {}, not a bool", checked.of),
        )
        .suggest("compare it with something"));
    }
    let cost = checked.cost.total();
    if cost > MAX_COST {
        let message = format!(
            "the policy could cost {cost} units on a crowded leaf, over the limit of {MAX_COST}"
        );
        return Err(Refusal::new(syntax.at, message).suggest(
            "move `matches` and `contains` out of nested comprehensions, or shorten the patterns",
        ));
    }
    Ok((checked.expr, cost))
}

pub(super) struct Checker<'a> {
    /// The variables of the comprehensions around; the index is the slot.
    pub(super) variables: Vec<Variable<'a>>,
}

impl<'a> Checker<'a> {
    pub(super) fn check(&mut self, syntax: &Syntax<'a>) -> Result<Checked, Refusal> {
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
    pub(super) fn operand(
        &mut self,
        operator: &str,
        syntax: &Syntax<'a>,
        wanted: Type,
    ) -> Result<Checked, Refusal> {
        let checked = self.check(syntax)?;
        if checked.of == wanted {
            return Ok(checked);
        }
        Err(Refusal::new(
            syntax.at,
            format!("`{operator}` needs {wanted} here, not {}", checked.of),
        ))
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
        if let Some((_, kind)) = NameType::CONSTANTS
            .into_iter()
            .find(|(constant, _)| *constant == name)
        {
            return Ok(Checked::new(
                Expr::NameType(kind),
                Type::one(Scalar::NameType),
                Bound::default(),
            ));
        }
        match name {
            "subject_alt_names" => Ok(Checked {
                items: MAX_NAMES as u64,
                names: true,
                ..Checked::new(
                    Expr::Names,
                    Type {
                        scalar: Scalar::Name,
                        list: true,
                    },
                    Bound::default(),
                )
                .with_text(Bound::ANY_TEXT)
            }),
            "subject" => Err(Refusal::new(at, "`subject` is not a value of its own")
                .suggest("name one of its attributes, such as `subject.common_name`")),
            _ => Err(self.unknown(at, name)),
        }
    }

    fn unknown(&self, at: usize, name: &str) -> Refusal {
        let refusal = Refusal::new(at, format!("unknown name `{name}`"));
        if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
            return refusal.suggest(format!("did you mean `subject.{}`?", attribute.name()));
        }
        let names = ["subject", "subject_alt_names", "true", "false"].into_iter();
        let constants = NameType::CONSTANTS
            .into_iter()
            .map(|(constant, _)| constant);
        let variables = self.variables.iter().map(|variable| variable.name);
        let known = names.chain(constants).chain(variables);
        refusal.nearest(name, "", known, "if it is a text, put it in quotes")
    }

    fn field(&mut self, at: usize, of: &Syntax<'a>, name: &str) -> Result<Checked, Refusal> {
        if matches!(of.kind, SyntaxKind::Name("subject")) {
            let attribute = attribute(at, name)?;
            return Ok(
                Checked::new(Expr::Attribute(attribute), Type::TEXT, Bound::default())
                    .with_text(Bound::ANY_TEXT),
            );
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
        if matches!(list.kind, SyntaxKind::Name("subject")) {
            return Err(Refusal::new(list.at, "`subject` cannot be indexed")
                .suggest("write `subject.common_name`, without brackets"));
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
}

/// The attribute of this name, or of one that people also use.
fn attribute(at: usize, name: &str) -> Result<Attribute, Refusal> {
    if let Some(attribute) = Attribute::ALL.into_iter().find(|a| a.name() == name) {
        return Ok(attribute);
    }
    let refusal = Refusal::new(at, format!("unknown name `subject.{name}`"));
    let meant = match name.to_ascii_lowercase().as_str() {
        "cn" => Attribute::CommonName,
        "c" | "country" => Attribute::CountryCode,
        "o" | "org" => Attribute::Organization,
        "ou" => Attribute::OrganizationalUnit,
        "l" | "city" => Attribute::Locality,
        "st" | "s" | "state" => Attribute::Province,
        "street" => Attribute::StreetAddress,
        "zip" | "zip_code" => Attribute::PostalCode,
        _ => {
            let names = || Attribute::ALL.iter().map(|attribute| attribute.name());
            let all = names()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let otherwise = format!("its attributes are {all}");
            return Err(refusal.nearest(name, "subject.", names(), &otherwise));
        }
    };
    Err(refusal.suggest(format!("did you mean `subject.{}`?", meant.name())))
}
