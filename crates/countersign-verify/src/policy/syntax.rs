//! What a policy says, before it is checked.

/// One expression.
#[derive(Debug)]
pub(super) struct Syntax<'a> {
    /// The byte that an error about it points to: an operator's own, a field's name.
    pub(super) at: usize,
    /// How many expressions deep it is; never more than [`super::limits::MAX_DEPTH`].
    pub(super) depth: u8,
    pub(super) kind: SyntaxKind<'a>,
}

pub(super) type Boxed<'a> = Box<Syntax<'a>>;

#[derive(Debug)]
pub(super) enum SyntaxKind<'a> {
    Bool(bool),
    Int(i64),
    Text(String),
    Name(&'a str),
    Field(Boxed<'a>, &'a str),
    /// A function, or a method when there is something before the dot.
    Call(Option<Boxed<'a>>, &'a str, Vec<Syntax<'a>>),
    List(Vec<Syntax<'a>>),
    Index(Boxed<'a>, Boxed<'a>),
    Not(Boxed<'a>),
    Negate(Boxed<'a>),
    Binary(Operator, Boxed<'a>, Boxed<'a>),
    And(Vec<Syntax<'a>>),
    Or(Vec<Syntax<'a>>),
    /// `condition ? yes : no`.
    Choice(Box<[Syntax<'a>; 3]>),
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// The weakest level of [`Operator::named`]: comparisons.
pub(super) const RELATION: u8 = 1;
/// The level that binds tighter than every operator between two operands.
pub(super) const UNARY: u8 = 4;

impl Operator {
    const ALL: [(&'static str, u8, Self); 12] = [
        ("==", RELATION, Self::Equal),
        ("!=", RELATION, Self::NotEqual),
        ("<", RELATION, Self::Less),
        ("<=", RELATION, Self::LessOrEqual),
        (">", RELATION, Self::Greater),
        (">=", RELATION, Self::GreaterOrEqual),
        ("in", RELATION, Self::In),
        ("+", 2, Self::Add),
        ("-", 2, Self::Subtract),
        ("*", 3, Self::Multiply),
        ("/", 3, Self::Divide),
        ("%", 3, Self::Remainder),
    ];

    /// The operator written so, and how tightly it binds.
    pub(super) fn named(word: &str) -> Option<(Self, u8)> {
        let (_, level, operator) = Self::ALL.into_iter().find(|(name, ..)| *name == word)?;
        Some((operator, level))
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(.., operator)| *operator == self)
            .map_or("", |(name, ..)| name)
    }
}
