//! Operators between two operands: which types each takes, and what it costs.

use super::{
    cost::Bound,
    error::Refusal,
    limits::JOIN,
    program::{Arithmetic, Expr, Order},
    syntax::Operator,
    types::{Checked, Scalar, Type},
};

pub(super) fn binary(
    at: usize,
    operator: Operator,
    left: Checked,
    right: Checked,
) -> Result<Checked, Refusal> {
    let cost = left.cost.plus(right.cost);
    let read = left.text.shorter(right.text);
    let (texts, of) = ((left.text, right.text), (left.of, right.of));
    let items = right.items;
    let exprs = Box::new([left.expr, right.expr]);
    let both = |scalar| of.0 == Type::one(scalar) && of.1 == of.0;
    let comparable = !of.0.list && of.0.scalar != Scalar::Name;
    Ok(match operator {
        Operator::Equal if comparable && of.0 == of.1 => {
            Checked::new(Expr::Equal(exprs), Type::BOOL, cost.plus(read))
        }
        Operator::NotEqual if comparable && of.0 == of.1 => {
            let equal = Checked::new(Expr::Equal(exprs), Type::BOOL, cost.plus(read));
            Checked::new(Expr::Not(Box::new(equal.expr)), Type::BOOL, equal.cost)
        }
        Operator::In if comparable && of.1 == (Type { list: true, ..of.0 }) => {
            let search = read.plus(Bound::TERM).times(items);
            Checked::new(Expr::In(exprs), Type::BOOL, cost.plus(search))
        }
        Operator::Add if both(Scalar::Text) => {
            let text = texts.0.plus(texts.1);
            let cost = cost.plus(text).plus(Bound::fixed(JOIN));
            Checked::new(Expr::Join(exprs), Type::TEXT, cost).with_text(text)
        }
        _ => match (arithmetic(operator), order(operator)) {
            (Some(operator), _) if both(Scalar::Int) => {
                Checked::new(Expr::Arithmetic(operator, exprs), Type::INT, cost)
            }
            (_, Some(order)) if both(Scalar::Int) || both(Scalar::Text) => {
                Checked::new(Expr::Order(order, exprs), Type::BOOL, cost.plus(read))
            }
            _ => return Err(mismatch(at, operator, of.0, of.1)),
        },
    })
}

fn arithmetic(operator: Operator) -> Option<Arithmetic> {
    Some(match operator {
        Operator::Add => Arithmetic::Add,
        Operator::Subtract => Arithmetic::Subtract,
        Operator::Multiply => Arithmetic::Multiply,
        Operator::Divide => Arithmetic::Divide,
        Operator::Remainder => Arithmetic::Remainder,
        _ => return None,
    })
}

fn order(operator: Operator) -> Option<Order> {
    Some(match operator {
        Operator::Less => Order::Less,
        Operator::LessOrEqual => Order::LessOrEqual,
        Operator::Greater => Order::Greater,
        Operator::GreaterOrEqual => Order::GreaterOrEqual,
        _ => return None,
    })
}

/// The error for operands that do not go with their operator.
fn mismatch(at: usize, operator: Operator, left: Type, right: Type) -> Refusal {
    let refusal = Refusal::new(
        at,
        format!(
            "`{}` cannot be used with {left} and {right}",
            operator.name()
        ),
    );
    if left.scalar != right.scalar && [left.scalar, right.scalar].contains(&Scalar::NameType) {
        return refusal.suggest("a `type` is compared with a bare constant: `DNS`, `EMAIL`, `IP_ADDRESS`, `URI` or `CUSTOM`");
    }
    let name = Type::one(Scalar::Name);
    if left == name && right == name {
        return refusal.suggest("compare their `value`");
    }
    match operator {
        Operator::In if !right.list => {
            refusal.suggest("`in` needs a list on its right: `[\"a\", \"b\"]`")
        }
        _ if operator != Operator::In && (left.list || right.list) => {
            refusal.suggest("use `exists`, `all`, `in` or `size` on lists")
        }
        _ => refusal,
    }
}
