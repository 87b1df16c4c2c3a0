//! An uploaded PEM, read into a trust anchor or into the reasons why it cannot be one
//! (docs/specification.md, section 1, "What an upload must be").
//!
//! What the verifier can never satisfy is refused here, where a person reads the answer, and not
//! at the gateway, where it would be a lock-out.

#[cfg(test)]
mod agreement;
mod algorithm;
mod anchor;
mod anchor_rules;
mod constraints;
mod facts;
mod inspect;
mod names;
mod pem;
mod private_key;
mod rejection;
mod summary;

pub use anchor::{Anchor, read_upload, why_unusable};
pub use facts::{Facts, Time};
pub use inspect::{Inspection, inspect};
pub use names::PlainNames;
pub use pem::MAX_UPLOAD_BYTES;
pub use private_key::holds_private_key;
pub use rejection::Rejection;
pub use summary::{LeafSummary, leaf_validity};
