//! A certificate authority for tests: mints valid roots, intermediates and leaves, with the one
//! defect or feature that a test asks for.
//!
//! ```
//! use countersign_testca::{General, KeyKind, oid, root};
//!
//! let root = root("Example Root").key(KeyKind::P384).mint();
//! let issuing = root.intermediate("Example Issuing").path_len(0).mint();
//! let leaf = issuing
//!     .leaf("billing")
//!     .attribute(oid::ORGANIZATIONAL_UNIT, "Production")
//!     .san(General::dns("billing.example.com"))
//!     .mint();
//! assert!(leaf.pem().starts_with("-----BEGIN CERTIFICATE-----"));
//! ```
//!
//! The DER is written here and signed with aws-lc-rs: a library that mints certificates
//! prevents most of the defects, and one way to write them all is simpler than two.

#![deny(missing_docs)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "made for tests, where a mistake in the asking should stop the test"
)]

mod crl;
pub mod der;
mod extension;
mod key;
mod key_kind;
mod minted;
mod name;
pub mod oid;
mod raw_rsa;
mod signature;
mod template;

pub use crl::{CrlTemplate, NEXT_UPDATE, THIS_UPDATE, crl_extension};
pub use extension::Usage;
pub use key::Key;
pub use key_kind::KeyKind;
pub use minted::Minted;
pub use name::{General, Name};
pub use signature::Signature;
pub use template::{NOT_AFTER, NOT_BEFORE, Template};

/// The template of a root CA.
pub fn root(name: &str) -> Template {
    Template::root(name)
}
