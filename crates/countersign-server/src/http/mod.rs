//! The HTTP API: one table of operations, the order of one request, and one file per resource.
//!
//! Uses run one way: `router` → `middleware`, `openapi` → `table` → the resources → the extractors
//! (`path`, `query`, `body`, `paging`) → `call` → `app`; `operation` → `handler`, `caller`.

mod active;
mod admin_api_keys;
mod answer;
mod app;
mod assertions;
mod audit_logs;
mod body;
mod call;
mod caller;
mod certificates;
mod contract;
mod crls;
mod denials;
mod error;
mod event_types;
mod expiring;
mod extract;
mod federation_changes;
mod federation_rules;
mod gateways;
mod handler;
mod health;
mod json;
mod json_value;
mod middleware;
mod observations;
mod openapi;
mod operation;
mod paging;
mod path;
mod project_api_keys;
mod projects;
mod query;
mod query_string;
mod receipt_keys;
mod receive;
mod record;
mod refusals;
mod request_metrics;
mod rotations;
mod router;
mod schemas;
mod service_accounts;
mod store_error;
mod table;
mod toggles;
mod token_exchange;
mod token_keys;
mod trust_changes;
mod trust_codes;
mod trust_write;
mod unreadable;
mod unreadable_heads;
mod upload;
mod webhooks;
mod workload_identity_providers;

pub use app::{App, AppOptions, Warning};
pub use caller::Needs;
pub use event_types::EVENT_TYPES;
pub use openapi::document;
pub use operation::Operation;
pub use router::router;
pub use table::operations;
