//! Revocation lists (RFC 5280 section 5): read, held to the key of the CA that they are from, and made
//! into the set of serial numbers that is judged by.
//!
//! A list speaks of its issuer's certificates alone. The issuer is a name *and* a key
//! ([`IssuerDigest`]): the CA whose key verified the list. So nobody's list can refuse another's
//! certificates, whatever it names and whichever anchor it was uploaded for, and a CA that was issued
//! again with the same key, or signed by two CAs, keeps its list.
//!
//! Supported are complete lists of all reasons, version 1 and 2. Delta and indirect lists, those of
//! some reasons, CA certificates or attribute certificates only, and those with another critical
//! extension are refused by name: half a list that is taken for a whole one lets revoked certificates in.

mod entries;
mod extensions;
mod input;
mod issuer;
mod list;
mod number;
mod outline;
mod rejection;

pub use input::{MAX_CRL_BYTES, MAX_ISSUERS};
pub use issuer::IssuerDigest;
pub use list::{Kept, RevocationList, read};
pub use number::CrlNumber;
pub use rejection::CrlRejection;
