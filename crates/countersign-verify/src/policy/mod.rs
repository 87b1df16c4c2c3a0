//! CEL policies: compiled when saved, evaluated on every verified leaf (docs/specification.md,
//! section 2).
//!
//! The language is the part of CEL that can be asked of a certificate: bools, 64-bit ints, strings
//! and lists of them; `&& || ! == != < <= > >= in + - * / % ?:` and indexes; `exists`, `all`,
//! `exists_one`, `filter`, `size`, `startsWith`, `endsWith`, `contains` and `matches` with a
//! literal pattern. Refused with a reason: `map` and `has`, maps and messages, `null`, bytes,
//! unsigned numbers and fractions, empty lists, lists of lists, equality of lists. `+` joins
//! strings: without a way to repeat it, the result is bounded by the text of the policy.
//!
//! A policy goes `lexer` → `parser` → `check` (types and the worst cost) and is then a typed tree
//! that `evaluate` walks. Two things answer no rather than yes whatever surrounds them: an
//! attribute that occurs more than once, and a text that cannot be relied on (control characters,
//! bad encodings). They spread through `!` and `!=` like errors and end as `false`, so no negation
//! permits by them; `&&` and `||` may still be decided by their other operand, as CEL has it.

mod attribute;
mod attribute_value;
mod call;
mod check;
mod compiled;
mod cost;
mod error;
mod evaluate;
mod facts;
mod language;
mod leaf;
mod lexer;
pub mod limits;
mod literal;
mod names;
mod operator;
mod parser;
mod program;
mod syntax;
#[cfg(test)]
mod tests;
mod types;

pub(crate) use self::leaf::{attribute_text, other_name_text};
pub use self::{
    attribute::{Condition, NoValue, Transformation},
    attribute_value::AttributeValue,
    error::{EvaluationError, PolicyError},
    facts::{Attribute, LeafFacts, NameType},
    leaf::UnreadableLeaf,
};
use self::{
    compiled::{Compiled, compile},
    evaluate::Halt,
    language::Language,
};

/// A compiled policy. Cheap to evaluate, any number of times, from any thread.
#[derive(Debug, Clone)]
pub struct Policy(Compiled);

impl Policy {
    /// Compiles a policy, or says why it cannot be saved.
    ///
    /// # Errors
    /// When it is too long, does not parse, names what does not exist, gives an operator or a
    /// function the wrong types, does not yield a bool, or could cost too much.
    pub fn compile(text: &str) -> Result<Self, PolicyError> {
        compile(text, Language::Policy).map(Self)
    }

    /// Whether the leaf satisfies the policy.
    ///
    /// # Errors
    /// When the policy has no answer for this leaf: an index outside a list, an overflow, a
    /// division by zero, too many subject alternative names.
    pub fn evaluate(&self, facts: &LeafFacts) -> Result<bool, EvaluationError> {
        self.evaluate_within(facts, limits::MAX_COST)
    }

    /// The same with so many units to spend, if that is less than any policy may.
    ///
    /// # Errors
    /// As [`Policy::evaluate`], and when the units do not suffice for this leaf.
    pub fn evaluate_within(&self, facts: &LeafFacts, units: u64) -> Result<bool, EvaluationError> {
        let units = units.min(limits::MAX_COST);
        match evaluate::run(&self.0.program, facts, units).0 {
            Ok(answer) => Ok(answer),
            Err(Halt::Unusable) => Ok(false),
            Err(Halt::Error(error)) => Err(error),
        }
    }

    /// The most that one evaluation can cost, in units of about a nanosecond.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.0.cost
    }
}
