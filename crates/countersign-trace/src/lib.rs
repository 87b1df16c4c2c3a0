//! The trace that a request belongs to (W3C Trace Context), and spans on their way to whoever collects
//! them. A span is plain data: nothing here knows who that is, and nothing waits for it.

mod hex;
mod span;
mod spans;
mod traceparent;

pub use span::{Attribute, Side, Span, Value};
pub use spans::{Clock, Sample, Spans, Waiting};
pub use traceparent::{Ids, LENGTH, SpanId, TraceId, Traceparent};
