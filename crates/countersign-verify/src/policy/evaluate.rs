//! Runs a program on the facts of one leaf: pure, no deeper than the syntax was, counted.

use std::borrow::Cow;

use super::{
    attribute_value::AttributeValue,
    error::EvaluationError,
    facts::{LeafFacts, Name, NameType, Text},
    limits::{CONTAINS_BYTE, ELEMENT, JOIN, MAX_NESTED_COMPREHENSIONS, TERM},
    program::{Arithmetic, Comprehension, Expr, Macro, NameField, Order, TextTest},
};

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// The value hangs on a text that cannot be relied on. It spreads like an error, so that no
    /// negation turns it round, and at the end it is a no.
    Unusable,
    Error(EvaluationError),
}

impl Halt {
    /// Whether the other operand of `&&` or `||` may still decide.
    fn may_be_overruled(self) -> bool {
        !matches!(
            self,
            Self::Error(EvaluationError::BudgetExceeded | EvaluationError::Mistyped)
        )
    }
}

const MISTYPED: Halt = Halt::Error(EvaluationError::Mistyped);

#[derive(Debug, Clone, PartialEq)]
enum Value<'v> {
    Bool(bool),
    Int(i64),
    Text(Cow<'v, str>),
    NameType(NameType),
    Name(&'v Name),
    Names(&'v [Name]),
    List(Vec<Value<'v>>),
}

type Evaluated<T> = Result<T, Halt>;

/// Evaluates with so many units of work at most, and tells how many it took.
pub(super) fn run(program: &Expr, facts: &LeafFacts, most: u64) -> (Evaluated<bool>, u64) {
    let mut evaluator = Evaluator::new(facts, most);
    let value = evaluator.bool(program);
    (value, evaluator.spent)
}

/// The same for a program that yields any scalar.
pub(super) fn value(
    program: &Expr,
    facts: &LeafFacts,
    most: u64,
) -> (Evaluated<AttributeValue>, u64) {
    let mut evaluator = Evaluator::new(facts, most);
    let value = match evaluator.value(program) {
        Ok(Value::Bool(value)) => Ok(AttributeValue::Bool(value)),
        Ok(Value::Int(value)) => Ok(AttributeValue::Int(value)),
        Ok(Value::Text(text)) => Ok(AttributeValue::Text(text.into_owned())),
        Ok(_) => Err(MISTYPED),
        Err(halt) => Err(halt),
    };
    (value, evaluator.spent)
}

struct Evaluator<'v> {
    facts: &'v LeafFacts,
    variables: [Option<Value<'v>>; MAX_NESTED_COMPREHENSIONS],
    /// The most that may be spent.
    most: u64,
    spent: u64,
}

impl<'v> Evaluator<'v> {
    const fn new(facts: &'v LeafFacts, most: u64) -> Self {
        Self {
            facts,
            variables: [const { None }; MAX_NESTED_COMPREHENSIONS],
            most,
            spent: 0,
        }
    }

    fn charge(&mut self, units: u64) -> Evaluated<()> {
        self.spent = self.spent.saturating_add(units);
        if self.spent > self.most {
            return Err(Halt::Error(EvaluationError::BudgetExceeded));
        }
        Ok(())
    }

    fn bool(&mut self, expr: &'v Expr) -> Evaluated<bool> {
        match self.value(expr)? {
            Value::Bool(value) => Ok(value),
            _ => Err(MISTYPED),
        }
    }

    fn int(&mut self, expr: &'v Expr) -> Evaluated<i64> {
        match self.value(expr)? {
            Value::Int(value) => Ok(value),
            _ => Err(MISTYPED),
        }
    }

    fn text(&mut self, expr: &'v Expr) -> Evaluated<Cow<'v, str>> {
        match self.value(expr)? {
            Value::Text(value) => Ok(value),
            _ => Err(MISTYPED),
        }
    }

    fn value(&mut self, expr: &'v Expr) -> Evaluated<Value<'v>> {
        self.charge(TERM)?;
        Ok(match expr {
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(value) => Value::Int(*value),
            Expr::Text(value) => Value::Text(Cow::Borrowed(value)),
            Expr::NameType(kind) => Value::NameType(*kind),
            Expr::Attribute(attribute) => match self.facts.attribute(*attribute) {
                Some(text) => readable(text)?,
                None => Value::Text(Cow::Borrowed("")),
            },
            Expr::Names => Value::Names(self.facts.names().map_err(Halt::Error)?),
            Expr::Variable(slot) => self.variable(*slot)?,
            Expr::NameField(field, name) => self.name_field(*field, name)?,
            Expr::List(items) => Value::List(self.list(items)?),
            Expr::Index(parts) => self.index(parts)?,
            Expr::Not(operand) => Value::Bool(!self.bool(operand)?),
            Expr::Negate(operand) => Value::Int(checked(self.int(operand)?.checked_neg())?),
            Expr::Arithmetic(operator, operands) => {
                Value::Int(self.arithmetic(*operator, operands)?)
            }
            Expr::Join(parts) => self.join(parts)?,
            Expr::Equal(operands) => Value::Bool(self.equal(operands)?),
            Expr::Order(order, operands) => Value::Bool(self.order(*order, operands)?),
            Expr::In(parts) => Value::Bool(self.contained(parts)?),
            Expr::Logic(decisive, operands) => {
                Value::Bool(self.logic(*decisive, operands.iter(), |this, operand| {
                    this.bool(operand)
                })?)
            }
            Expr::Choice(parts) => {
                let [condition, yes, no] = &**parts;
                if self.bool(condition)? {
                    self.value(yes)?
                } else {
                    self.value(no)?
                }
            }
            Expr::Size(value) => self.size(value)?,
            Expr::TextTest(test, operands) => Value::Bool(self.text_test(*test, operands)?),
            Expr::Matches(text, pattern) => {
                let text = self.text(text)?;
                self.charge(pattern.price(text.len() as u64))?;
                Value::Bool(pattern.regex.is_match(&text))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
        })
    }

    fn variable(&mut self, slot: usize) -> Evaluated<Value<'v>> {
        let value = self
            .variables
            .get(slot)
            .cloned()
            .flatten()
            .ok_or(MISTYPED)?;
        if let Value::Text(Cow::Owned(text)) = &value {
            self.charge(text.len() as u64)?;
        }
        Ok(value)
    }

    fn name_field(&mut self, field: NameField, name: &'v Expr) -> Evaluated<Value<'v>> {
        let Value::Name(name) = self.value(name)? else {
            return Err(MISTYPED);
        };
        match field {
            NameField::Type => Ok(Value::NameType(name.kind)),
            NameField::Value => readable(&name.value),
            NameField::Oid => Ok(Value::Text(Cow::Borrowed(&name.oid))),
        }
    }

    fn list(&mut self, items: &'v [Expr]) -> Evaluated<Vec<Value<'v>>> {
        self.charge(ELEMENT.saturating_mul(items.len() as u64))?;
        items.iter().map(|item| self.value(item)).collect()
    }

    fn index(&mut self, [list, index]: &'v [Expr; 2]) -> Evaluated<Value<'v>> {
        let list = self.value(list)?;
        let index = usize::try_from(self.int(index)?).ok();
        let element = match list {
            Value::Names(names) => index.and_then(|index| names.get(index)).map(Value::Name),
            Value::List(items) => index.and_then(|index| items.into_iter().nth(index)),
            _ => return Err(MISTYPED),
        };
        element.ok_or(Halt::Error(EvaluationError::IndexOutOfRange))
    }

    fn arithmetic(&mut self, operator: Arithmetic, [left, right]: &'v [Expr; 2]) -> Evaluated<i64> {
        let (left, right) = (self.int(left)?, self.int(right)?);
        if right == 0 && matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
            return Err(Halt::Error(EvaluationError::DivisionByZero));
        }
        checked(match operator {
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide => left.checked_div(right),
            Arithmetic::Remainder => left.checked_rem(right),
        })
    }

    fn join(&mut self, [left, right]: &'v [Expr; 2]) -> Evaluated<Value<'v>> {
        let (left, right) = (self.text(left)?, self.text(right)?);
        self.charge(JOIN.saturating_add((left.len() + right.len()) as u64))?;
        Ok(Value::Text(left + right))
    }

    fn equal(&mut self, [left, right]: &'v [Expr; 2]) -> Evaluated<bool> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        self.same(&left, &right)
    }

    fn same(&mut self, left: &Value<'v>, right: &Value<'v>) -> Evaluated<bool> {
        if let (Value::Text(left), Value::Text(right)) = (left, right) {
            self.charge(left.len().min(right.len()) as u64)?;
        }
        Ok(left == right)
    }

    fn order(&mut self, order: Order, [left, right]: &'v [Expr; 2]) -> Evaluated<bool> {
        let ordering = match (self.value(left)?, self.value(right)?) {
            (Value::Int(left), Value::Int(right)) => left.cmp(&right),
            (Value::Text(left), Value::Text(right)) => {
                self.charge(left.len().min(right.len()) as u64)?;
                left.cmp(&right)
            }
            _ => return Err(MISTYPED),
        };
        Ok(match order {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        })
    }

    /// `in`. A list that is written out is looked at in place; every element of it is evaluated,
    /// because an error in one is an error of the list.
    fn contained(&mut self, [needle, list]: &'v [Expr; 2]) -> Evaluated<bool> {
        let needle = self.value(needle)?;
        let mut found = false;
        if let Expr::List(items) = list {
            for item in items {
                let item = self.value(item)?;
                found |= self.same(&needle, &item)?;
            }
            return Ok(found);
        }
        let Value::List(items) = self.value(list)? else {
            return Err(MISTYPED);
        };
        for item in &items {
            self.charge(TERM)?;
            found |= self.same(&needle, item)?;
        }
        Ok(found)
    }

    /// `&&` and `||`, `all` and `exists`: the decisive value wins even over an error beside it, on
    /// either side, since the answer would be the same whatever that operand were.
    fn logic<T>(
        &mut self,
        decisive: bool,
        operands: impl Iterator<Item = T>,
        test: impl Fn(&mut Self, T) -> Evaluated<bool>,
    ) -> Evaluated<bool> {
        let mut halted = None;
        for operand in operands {
            match test(self, operand) {
                Ok(value) if value == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(halt) if halt.may_be_overruled() => {
                    halted.get_or_insert(halt);
                }
                Err(halt) => return Err(halt),
            }
        }
        halted.map_or(Ok(!decisive), Err)
    }

    fn size(&mut self, value: &'v Expr) -> Evaluated<Value<'v>> {
        let size = match self.value(value)? {
            Value::Names(names) => names.len(),
            Value::List(items) => items.len(),
            Value::Text(text) => {
                self.charge(text.len() as u64)?;
                text.chars().count()
            }
            _ => return Err(MISTYPED),
        };
        Ok(Value::Int(checked(i64::try_from(size).ok())?))
    }

    fn text_test(&mut self, test: TextTest, [text, part]: &'v [Expr; 2]) -> Evaluated<bool> {
        let (text, part) = (self.text(text)?, self.text(part)?);
        let (text_length, part_length) = (text.len() as u64, part.len() as u64);
        self.charge(match test {
            TextTest::Contains => (text_length + part_length).saturating_mul(CONTAINS_BYTE),
            TextTest::StartsWith | TextTest::EndsWith => text_length.min(part_length),
        })?;
        Ok(match test {
            TextTest::StartsWith => text.starts_with(&*part),
            TextTest::EndsWith => text.ends_with(&*part),
            TextTest::Contains => text.contains(&*part),
        })
    }

    fn comprehension(&mut self, comprehension: &'v Comprehension) -> Evaluated<Value<'v>> {
        match self.value(&comprehension.list)? {
            Value::Names(names) => self.over(comprehension, names.iter().map(Value::Name)),
            Value::List(items) => self.over(comprehension, items.into_iter()),
            _ => Err(MISTYPED),
        }
    }

    fn over(
        &mut self,
        Comprehension {
            what, slot, body, ..
        }: &'v Comprehension,
        items: impl Iterator<Item = Value<'v>>,
    ) -> Evaluated<Value<'v>> {
        let test = |this: &mut Self, item: Value<'v>| {
            this.charge(ELEMENT)?;
            if let Some(variable) = this.variables.get_mut(*slot) {
                *variable = Some(item);
            }
            this.bool(body)
        };
        Ok(match what {
            Macro::Exists => Value::Bool(self.logic(true, items, test)?),
            Macro::All => Value::Bool(self.logic(false, items, test)?),
            Macro::ExistsOne => {
                let mut found = 0_usize;
                for item in items {
                    found += usize::from(test(self, item)?);
                }
                Value::Bool(found == 1)
            }
            Macro::Filter => {
                let mut kept = Vec::new();
                for item in items {
                    self.charge(copy_price(&item))?;
                    if test(self, item.clone())? {
                        kept.push(item);
                    }
                }
                Value::List(kept)
            }
        })
    }
}

fn readable(text: &Text) -> Evaluated<Value<'_>> {
    match text {
        Text::Plain(text) => Ok(Value::Text(Cow::Borrowed(text))),
        Text::Repeated | Text::Unreadable => Err(Halt::Unusable),
    }
}

fn checked<T>(result: Option<T>) -> Evaluated<T> {
    result.ok_or(Halt::Error(EvaluationError::Overflow))
}

/// What a copy costs: its bytes, if it has bytes of its own.
fn copy_price(value: &Value<'_>) -> u64 {
    match value {
        Value::Text(Cow::Owned(text)) => ELEMENT + text.len() as u64,
        _ => ELEMENT,
    }
}
