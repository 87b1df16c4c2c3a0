//! The HTTP API, driven over real sockets against real stores. Laid out like URLs: what is tested
//! of `DELETE /v1/organization/certificates/{certificate_id}` is in
//! `organization/certificates/delete.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "what fails here should stop the test"
)]

mod countersign;
mod edge;
mod every_operation;
mod harness;
mod listener;
mod metrics;
mod openapi;
mod organization;
