//! Why a policy was refused, or could not be evaluated.

/// Why a policy cannot be saved: where, what is wrong, and what to write instead. It becomes
/// `mtls_cel_policy_invalid` (docs/specification.md, section 2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{noun} line {line}, column {column}: {message}{}", Hint(.suggestion))]
pub struct PolicyError {
    /// What was to be compiled: a policy, a condition or an expression.
    pub noun: &'static str,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, when that can be said.
    pub suggestion: Option<String>,
}

struct Hint<'a>(&'a Option<String>);

impl std::fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Why a policy gave no answer. It becomes `authentication_temporarily_unavailable`, but for too
/// many names, which no other attempt will have less of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// An index outside its list.
    #[error("an index lies outside its list")]
    IndexOutOfRange,
    /// A result outside the 64-bit integers.
    #[error("an integer overflowed")]
    Overflow,
    /// A division or remainder by zero.
    #[error("an integer was divided by zero")]
    DivisionByZero,
    /// More subject alternative names than a policy may look at.
    #[error("the leaf has too many subject alternative names")]
    TooManyNames,
    /// More work than was left for it.
    #[error("the policy took more work than it may")]
    BudgetExceeded,
    /// A value of another type than was checked. The check at saving rules this out.
    #[error("a value has another type than the policy was checked for")]
    Mistyped,
}

/// A refusal that knows its byte, not yet its line.
#[derive(Debug)]
pub(super) struct Refusal {
    at: usize,
    message: String,
    suggestion: Option<String>,
}

impl Refusal {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self {
            at,
            message: message.into(),
            suggestion: None,
        }
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Asks `did you mean …?` when one of the words is near enough to what was written, and says
    /// something else when none is. `prefix` stands before the word.
    pub(super) fn nearest<'a>(
        self,
        written: &str,
        prefix: &str,
        words: impl Iterator<Item = &'a str>,
        otherwise: &str,
    ) -> Self {
        match nearest(written, words) {
            Some(word) => self.suggest(format!("did you mean `{prefix}{word}`?")),
            None => self.suggest(otherwise),
        }
    }

    /// Finds line and column of the byte in the text.
    pub(super) fn locate(self, text: &str, noun: &'static str) -> PolicyError {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        PolicyError {
            noun,
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            message: self.message,
            suggestion: self.suggestion,
        }
    }
}

/// The word nearest to what was written, if a third of its letters or fewer differ.
fn nearest<'a>(written: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer than every name of the language, so that hostile names cost nothing.
    const LONGEST: usize = 40;
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    words
        .map(|word| (distance(&written, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Levenshtein's distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, a) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let best = (diagonal + usize::from(a != b))
                .min(previous + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            previous = best;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
