//! Whether a receipt is a gateway's, and fits an organization's audit log: what it says was so, by the events
//! up to the one that the gateway had seen. Offline: it takes the receipt and an export of the log, and nothing
//! else. What an export cannot prove is said, and is no proof.

mod checks;
mod export;
mod finding;
mod history;
mod superseded;

pub use checks::verify;
pub use export::AuditExport;
pub use finding::{Check, Finding, FindingResult, ReceiptReport};

#[cfg(test)]
mod tests;
