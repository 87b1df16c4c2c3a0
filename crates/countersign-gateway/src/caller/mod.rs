//! Who is calling.

pub(crate) mod credential;
pub(crate) mod identity;
pub(crate) mod organization;
pub(crate) mod sharded;
pub(crate) mod snapshot;
