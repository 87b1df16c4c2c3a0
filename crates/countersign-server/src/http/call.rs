//! A request whose caller may make it, before its handler's extractors take it apart.

use std::vec::IntoIter;

use serde_json::{Map, Value};

use super::{app::App, query_string::Pairs};

/// What extractors read from.
pub(super) struct Call {
    pub(super) app: App,
    /// The ids in the path as they were sent, in their order. They are not decoded: no id needs
    /// percent-encoding, so each has one spelling.
    pub(super) ids: IntoIter<String>,
    pub(super) query: Pairs,
    /// The properties of the JSON object in the body, unless the body is empty.
    pub(super) body: Option<Map<String, Value>>,
}
