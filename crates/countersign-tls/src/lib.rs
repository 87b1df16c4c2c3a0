//! TLS from PEM files: certificates and keys, roots, client and server configurations, and
//! reloading. Everything that reads such a file reads it here, and fails with the same [`Error`].

mod client;
mod error;
mod files;
mod provider;
mod reload;
mod roots;
mod server;

pub use client::client_config;
pub use error::Error;
pub use files::CertificateFiles;
pub use provider::{aes128_first, standard};
pub use reload::{Reloading, ReloadingClientConfig, ReloadingServerConfig};
pub use roots::{add_roots, public_roots, roots_from_file};
pub use server::{issued, server_config, server_config_choosing};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
