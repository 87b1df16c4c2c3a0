//! What is refused although it verifies: denials of leaves, keys, serial numbers and names, in the forms in
//! which they are compared (docs/specification.md, section 10).

mod alternative_name;
mod identity;
mod invalid_match;
mod issuer;
mod key;
mod marks;
mod normal;
mod reported;
mod serial;
mod set;
mod uri;

pub use self::{
    identity::LeafIdentity,
    invalid_match::InvalidMatch,
    marks::{InvalidMarks, LeafMarks},
    normal::normal,
};
pub(crate) use self::{
    reported::{Reported, is_reported},
    set::{Applicable, Denials},
};
