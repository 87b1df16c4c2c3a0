//! The store's own tests: the same suite on SQLite (a file, and in memory) and on PostgreSQL, when
//! `COUNTERSIGN_TEST_POSTGRES_URL` names a server on which databases may be made.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the functions that tests share are as free as tests, and say what they skip"
)]

mod audit_chain;
mod audit_logs;
mod bundle;
mod certificates;
mod concurrency;
mod enforcement;
mod expiry;
mod faults;
mod gateways;
mod growth;
mod history;
mod key_changes;
mod keys;
mod neighbours;
mod observations;
mod opening;
mod pooled;
mod quotas;
mod refusals;
mod replica;
mod setting;
mod unverified;
mod webhooks;
