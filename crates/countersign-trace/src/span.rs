//! A span: what became of one request, as plain data.

use crate::traceparent::{SpanId, TraceId};

/// What became of one request that this process served, or made.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The span that the request comes from.
    pub parent: Option<SpanId>,
    /// On which side of the request it was.
    pub side: Side,
    /// What it is called: few names, so that they can be grouped.
    pub name: String,
    /// When it began and ended, in nanoseconds since the beginning of 1970.
    pub time: (u64, u64),
    /// What is known of it, by the names of OpenTelemetry's semantic conventions where they have one.
    pub attributes: Vec<Attribute>,
    /// Whether it failed for another reason than what was asked.
    pub failed: bool,
}

/// A side of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It was served.
    Server,
    /// It was made.
    Client,
}

/// One thing that is known of a span.
pub type Attribute = (&'static str, Value);

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// The most bytes of a text: clients choose some, and many spans may wait.
const LONGEST: usize = 512;

impl From<&str> for Value {
    /// A text, without what is beyond 512 bytes.
    fn from(text: &str) -> Self {
        Self::Text(text[..text.floor_char_boundary(LONGEST)].to_owned())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}
