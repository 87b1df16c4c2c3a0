//! A typed client for every server of the organization-certificates API: Countersign, or
//! `https://api.openai.com/v1`.
//!
//! Each resource has the API's verbs (`client.certificates().retrieve(&id)`), and [`Client`] has
//! each operation under the reference's name as well (`client.get_certificate(&id)`). Lists come
//! one page at a time (`list`) or as a stream of all entries (`stream`). Failed calls are retried
//! where that may help, as the official SDKs do: see [`ClientBuilder::max_retries`].
//!
//! Answers are read leniently, since servers change: ids may have any form, what the API makes
//! optional may be absent, a value of a closed set may be one that is not known here
//! ([`types::or_unknown::OrUnknown`]), and properties that are not known here are kept
//! ([`Received`]). What is sent has the API's own form.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use countersign_client::{Client, types::certificate::Scope};
//!
//! let client = Client::from_env()?;
//! let certificate = client.get_certificate(&"cert_abc".parse()?).await?;
//! println!("{} expires at {:?}", certificate.id, certificate.certificate_details.expires_at);
//!
//! let activated = client
//!     .certificates()
//!     .activate(&Scope::Organization, &[certificate.id.clone()])
//!     .await?;
//! println!("active from revision {:?}", activated.revision);
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]

mod admin_api_keys;
mod api_keys;
mod assertions;
mod audit_logs;
mod certificates;
mod certificates_by_reference;
mod changes;
mod client;
mod config;
mod connections;
mod countersign;
mod crls;
mod denials;
mod error;
mod federation_rules;
mod page;
mod presentable;
mod projects;
mod receipt_keys;
mod received;
mod refusals;
mod request;
mod retry;
mod rotations;
mod service_accounts;
mod tls;
mod token_keys;
mod unreachable;
mod webhooks;
mod workload_identity_providers;

pub use countersign_types as types;

pub use crate::{
    admin_api_keys::AdminApiKeys,
    api_keys::ApiKeys,
    assertions::Assertions,
    audit_logs::{AuditLogParams, AuditLogs},
    certificates::{Certificates, Include},
    client::Client,
    config::{ClientBuilder, DEFAULT_BASE_URL},
    countersign::{BundleReader, Countersign},
    crls::Crls,
    denials::Denials,
    error::{ApiError, Error},
    federation_rules::{FederationRuleListParams, FederationRules},
    page::{ItemStream, ListParams},
    projects::{ProjectListParams, Projects},
    receipt_keys::ReceiptKeys,
    received::Received,
    request::Response,
    rotations::Rotations,
    service_accounts::ServiceAccounts,
    token_keys::TokenKeys,
    unreachable::Unreachable,
    webhooks::Webhooks,
    workload_identity_providers::WorkloadIdentityProviders,
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
