//! Who is calling.

pub(crate) mod credential;
pub(crate) mod federation;
pub(crate) mod identity;
pub(crate) mod last_credential;
pub(crate) mod organization;
pub(crate) mod sharded;
pub(crate) mod snapshot;
pub(crate) mod token;
pub(crate) mod tokens;
