//! Exchanging a client certificate for a token (docs/specification.md, section 6): the host names that it is
//! done under serve nothing else. The handshake proved that the client holds the leaf's key; the control plane
//! judges the chain and signs.

pub(crate) mod asking;
mod endpoint;
pub(crate) mod own;
pub(crate) mod public_keys;
mod request;
