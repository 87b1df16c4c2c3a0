//! The HTTP API: one table of operations, the order of one request, and one file per resource.
//!
//! Uses run one way: `router` → `edge`, `openapi` → `table` → the resources → the extractors
//! (`path`, `query`, `body`, `paging`) → `call` → `app`; `operation` → `handler`, `caller`.

mod active;
mod admin_api_keys;
mod answer;
mod app;
mod audit_logs;
mod body;
mod call;
mod caller;
mod certificates;
mod contract;
mod edge;
mod error;
mod event_types;
mod expiring;
mod extract;
mod gateways;
mod handler;
mod health;
mod json;
mod meters;
mod observations;
mod openapi;
mod operation;
mod paging;
mod pairs;
mod path;
mod project_api_keys;
mod projects;
mod query;
mod receive;
mod record;
mod rotations;
mod router;
mod schemas;
mod sent;
mod service_accounts;
mod store_error;
mod table;
mod toggles;
mod unreadable;
mod upload;
mod webhooks;

pub use app::{App, AppOptions, FORGET_GATEWAYS_AFTER, OBSERVATION_DAYS};
pub use caller::Needs;
pub use openapi::document;
pub use operation::Operation;
pub use router::router;
pub use table::operations;
