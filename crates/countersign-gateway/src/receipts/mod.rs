//! Receipts: what this gateway signs of its verdicts (docs/receipts.md). The key is its own and is kept in its
//! data directory; organizations believe it once the control plane has it in their audit logs.

pub(crate) mod giving;
pub(crate) mod key_file;
pub(crate) mod registering;
