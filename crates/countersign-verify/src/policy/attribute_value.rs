//! What an expression over a certificate yields.

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A number.
    Int(i64),
}
