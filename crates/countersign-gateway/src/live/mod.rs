//! What is under way, and whether it may stay so.

pub(crate) mod all;
pub(crate) mod recheck;
pub(crate) mod stream;
