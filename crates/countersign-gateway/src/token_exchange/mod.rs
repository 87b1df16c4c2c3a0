//! Exchanging a client certificate for a token (docs/specification.md, section 6): the host names that it is
//! done under serve nothing else. The handshake proved that the client holds the leaf's key; `verdict` judges the
//! chain, so that the control plane, which judges it again and signs, is asked about no stranger's; `places` says
//! about how many exchanges it is asked at once, and whose.

pub(crate) mod asking;
mod endpoint;
pub(crate) mod own;
pub(crate) mod places;
pub(crate) mod public_keys;
mod request;
pub(crate) mod serving;
mod verdict;
