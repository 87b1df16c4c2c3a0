//! Reads events of the audit log.

use countersign_client::{AuditLogParams, Client, Error, Received};
use countersign_types::audit::AuditLog as Event;

use crate::cli::api::{page_size, take};

/// The latest events that match, newest first.
pub(super) async fn fetch(
    client: &Client,
    filter: &AuditLogParams,
    limit: Option<u32>,
) -> Result<Vec<Received<Event>>, Error> {
    let params = AuditLogParams {
        limit: Some(page_size(limit)),
        ..filter.clone()
    };
    take(client.audit_logs().stream(&params), limit).await
}
