//! What texts are compiled here, and what each may name and must yield.

use super::{
    error::Refusal,
    types::{Scalar, Type},
};

/// A kind of text that is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// An anchor's policy: `subject` and `subject_alt_names`, a bool.
    Policy,
    /// A provider's condition: the same below `assertion`, a bool.
    Condition,
    /// A transformation: the same below `assertion`, a bool, a number or a string.
    Transformation,
}

impl Language {
    /// What it is called in messages.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Condition => "condition",
            Self::Transformation => "expression",
        }
    }

    /// What stands before `subject` and `subject_alt_names`.
    pub(super) const fn root(self) -> &'static str {
        match self {
            Self::Policy => "",
            Self::Condition | Self::Transformation => "assertion.",
        }
    }

    /// The names that stand for no variable.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &["subject", "subject_alt_names"],
            Self::Condition | Self::Transformation => &["assertion"],
        }
    }

    /// What to do about an empty text.
    pub(super) const fn about_empty(self) -> &'static str {
        match self {
            Self::Policy => "send `null` to have no policy",
            Self::Condition => "send `null` to have no condition",
            Self::Transformation => "write for example `assertion.subject.common_name`",
        }
    }

    /// Refuses a text that yields something else than it must.
    pub(super) fn must_yield(self, of: Type, at: usize) -> Result<(), Refusal> {
        let (fits, wanted, advice) = match self {
            Self::Policy | Self::Condition => {
                (of == Type::BOOL, "a bool", "compare it with something")
            }
            Self::Transformation => (
                !of.list && matches!(of.scalar, Scalar::Bool | Scalar::Int | Scalar::Text),
                "a string, a number or a bool",
                "take one of its parts, as in `assertion.subject_alt_names[0].value`",
            ),
        };
        if fits {
            return Ok(());
        }
        let message = format!("the {} yields {of}, not {wanted}", self.noun());
        Err(Refusal::new(at, message).suggest(advice))
    }
}
