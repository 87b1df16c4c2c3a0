//! A local forwarder that adds a client certificate, and a key if asked, to the requests of tools that
//! cannot (docs/specification.md, section 8): by base URL, or as the proxy of `HTTPS_PROXY`. What carries
//! the requests is `countersign-proxy`.

mod admission;
mod answer;
mod api_key;
mod body;
mod carried;
mod connect_request;
mod connection;
mod forwarder;
mod front;
mod http_proxy;
mod listening;
mod local_ca;
mod meaning;
mod operator;
mod peek;
mod server;
mod serving;
mod token;
mod via;

pub use admission::OwnHosts;
pub use api_key::ApiKey;
pub use forwarder::{Forwarder, Mode, Options};
pub use listening::{ListenError, Listener};
pub use local_ca::{LocalCa, LocalCaError};
pub use meaning::meaning;
pub use operator::serve_metrics;
pub use server::{Server, ServerError, ServerOptions, Trust};
pub use token::Token;
pub use via::{Via, ViaError};
