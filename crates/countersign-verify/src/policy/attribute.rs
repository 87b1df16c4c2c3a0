//! Expressions over what a certificate asserts: the attributes of a workload, and conditions on it
//! (docs/specification.md, section 6). They are policies whose names begin with `assertion`, and an
//! attribute may be a string or a number besides.

use super::{
    attribute_value::AttributeValue,
    compiled::{Compiled, compile},
    error::{EvaluationError, PolicyError},
    evaluate::{self, Halt},
    facts::LeafFacts,
    language::Language,
    limits,
};

/// Why an attribute has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoValue {
    /// It hangs on a text that cannot be relied on, such as an attribute that occurs twice.
    #[error("it depends on a text of the certificate that cannot be relied on")]
    Unusable,
    /// It could not be evaluated for this leaf.
    #[error("{0}")]
    Failed(#[from] EvaluationError),
}

/// A compiled expression that yields an attribute.
#[derive(Debug, Clone)]
pub struct Transformation(Compiled);

/// A compiled condition.
#[derive(Debug, Clone)]
pub struct Condition(Compiled);

impl Transformation {
    /// Compiles an expression, or says why it cannot be saved.
    ///
    /// # Errors
    /// As those of a policy; it may yield a string, a number or a bool.
    pub fn compile(text: &str) -> Result<Self, PolicyError> {
        compile(text, Language::Transformation).map(Self)
    }

    /// What it yields for the leaf.
    ///
    /// # Errors
    /// When it has no value for this leaf.
    pub fn evaluate(&self, facts: &LeafFacts) -> Result<AttributeValue, NoValue> {
        found(evaluate::value(&self.0.program, facts, limits::MAX_COST).0)
    }
}

impl Condition {
    /// Compiles a condition, or says why it cannot be saved.
    ///
    /// # Errors
    /// As those of a policy.
    pub fn compile(text: &str) -> Result<Self, PolicyError> {
        compile(text, Language::Condition).map(Self)
    }

    /// Whether the leaf fulfils it. What cannot be relied on fulfils nothing.
    ///
    /// # Errors
    /// When it has no answer for this leaf.
    pub fn evaluate(&self, facts: &LeafFacts) -> Result<bool, NoValue> {
        found(evaluate::run(&self.0.program, facts, limits::MAX_COST).0)
    }
}

fn found<T>(evaluated: Result<T, Halt>) -> Result<T, NoValue> {
    evaluated.map_err(|halt| match halt {
        Halt::Unusable => NoValue::Unusable,
        Halt::Error(error) => NoValue::Failed(error),
    })
}
