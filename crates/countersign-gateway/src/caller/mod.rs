//! Who is calling.

pub(crate) mod credential;
pub(crate) mod identity;
pub(crate) mod snapshot;
