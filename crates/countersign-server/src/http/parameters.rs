//! The query parameters that several operations take, as the document describes them.

use countersign_types::page::{DEFAULT_LIMIT, MAX_LIMIT, MIN_LIMIT, Order};
use serde_json::json;

use super::operation::Parameter;

pub(super) fn limit() -> Parameter {
    Parameter {
        name: "limit",
        description: "The most entries that the page may hold.",
        schema: json!({
            "type": "integer", "minimum": MIN_LIMIT, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
        }),
    }
}

pub(super) fn after() -> Parameter {
    Parameter {
        name: "after",
        description: "The id of the entry that the page follows: `last_id` of the page before.",
        schema: json!({ "type": "string" }),
    }
}

pub(super) fn order(default: Order) -> Parameter {
    Parameter {
        name: "order",
        description: "Which end comes first, by `created_at`.",
        schema: json!({ "type": "string", "enum": ["asc", "desc"], "default": default }),
    }
}

/// The three that a list of one order or the other takes.
pub(super) fn page(default: Order) -> [Parameter; 3] {
    [limit(), after(), order(default)]
}

pub(super) fn include() -> Parameter {
    Parameter {
        name: "include[]",
        description: "`content` adds the PEM, `usage` how it was used (an extension). \
            `include=content` is understood as well.",
        schema: included(&["content", "usage"]),
    }
}

pub(super) fn include_usage() -> Parameter {
    Parameter {
        name: "include[]",
        description: "`usage` adds how each was used (an extension).",
        schema: included(&["usage"]),
    }
}

fn included(known: &[&str]) -> serde_json::Value {
    json!({ "type": "array", "items": { "type": "string", "enum": known } })
}

/// A list of ids or names that an entry must match one of.
pub(super) fn any_of(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        description,
        schema: json!({ "type": "array", "maxItems": 100, "items": { "type": "string" } }),
    }
}

pub(super) fn flag(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        description,
        schema: json!({ "type": "boolean", "default": false }),
    }
}
