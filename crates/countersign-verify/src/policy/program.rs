//! A checked policy, ready to be evaluated.

use super::facts::{Attribute, NameType};

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    NameType(NameType),
    Attribute(Attribute),
    /// `subject_alt_names`.
    Names,
    /// The variable of the comprehension in this slot.
    Variable(usize),
    NameField(NameField, Box<Expr>),
    List(Box<[Expr]>),
    Index(Box<[Expr; 2]>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    /// Two texts, one after the other.
    Join(Box<[Expr; 2]>),
    Equal(Box<[Expr; 2]>),
    Order(Order, Box<[Expr; 2]>),
    In(Box<[Expr; 2]>),
    /// `&&` or `||`: the operand that decides alone, and the operands.
    Logic(bool, Box<[Expr]>),
    Choice(Box<[Expr; 3]>),
    Size(Box<Expr>),
    TextTest(TextTest, Box<[Expr; 2]>),
    Matches(Box<Expr>, Box<Pattern>),
    Comprehension(Box<Comprehension>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum NameField {
    Type,
    Value,
    Oid,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone)]
pub(super) struct Comprehension {
    pub(super) what: Macro,
    pub(super) list: Expr,
    pub(super) slot: usize,
    pub(super) body: Expr,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Macro {
    Exists,
    All,
    ExistsOne,
    Filter,
}

/// A regular expression, and the price of showing it one byte.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) regex: regex_lite::Regex,
    pub(super) per_byte: u64,
}

impl Pattern {
    /// The price of matching a text of this many bytes; the one more is for starting and ending.
    pub(super) fn price(&self, bytes: u64) -> u64 {
        self.per_byte.saturating_mul(bytes.saturating_add(1))
    }
}
