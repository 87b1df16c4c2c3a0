//! The types of a policy, and what is known of an expression once it is checked.

use super::{cost::Bound, error::Refusal, program::Expr};

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

    /// Refuses it unless it has the type that this operator or function needs of it; `at` is where
    /// it stands in the policy.
    pub(super) fn must_be(self, wanted: Type, operator: &str, at: usize) -> Result<Self, Refusal> {
        if self.of == wanted {
            return Ok(self);
        }
        Err(Refusal::new(
            at,
            format!("`{operator}` needs {wanted} here, not {}", self.of),
        ))
    }
}
