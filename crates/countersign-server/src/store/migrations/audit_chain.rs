//! Chains the events that were written before there was a chain. An event without a place in it
//! would be one that an attacker could add, so none is left.

use countersign_types::{UnixSeconds, id::OrganizationId};

use super::super::{
    StoreError,
    audit_chain::{Head, Unchained},
    connection::Connection,
    value::params,
};

/// How many events are read at a time.
const BATCH: i64 = 500;

pub(super) async fn chain_events(connection: &mut Connection) -> Result<(), StoreError> {
    let sql = "SELECT id FROM organizations ORDER BY seq";
    for organization in connection.query::<OrganizationId>(sql, &[]).await? {
        chain_organization(connection, &organization).await?;
    }
    Ok(())
}

/// In the order of the log, which is the order in which its events were committed.
async fn chain_organization(
    connection: &mut Connection,
    organization: &OrganizationId,
) -> Result<(), StoreError> {
    let mut head = Head::default();
    let mut at: (UnixSeconds, i64) = (0, -1);
    loop {
        let events: Vec<(Unchained, i64)> = connection
            .query(
                "SELECT id, event_type, effective_at, project_id, project_name, actor_id, \
                 details, seq FROM audit_logs WHERE organization_id = $1 \
                 AND (effective_at, seq) > ($2, $3) ORDER BY effective_at, seq LIMIT $4",
                params![organization, at.0, at.1, BATCH,],
            )
            .await?;
        if events.is_empty() {
            break;
        }
        for (Unchained(event), seq) in events {
            at = (event.effective_at, seq);
            let chain = head.append(&event)?;
            connection
                .execute(
                    "UPDATE audit_logs SET chain_number = $2, previous_sha256 = $3, sha256 = $4 \
                     WHERE seq = $1",
                    params![
                        seq,
                        chain.number,
                        chain.previous_sha256.to_string(),
                        chain.sha256.to_string(),
                    ],
                )
                .await?;
        }
    }
    connection
        .execute(
            "UPDATE organizations SET audit_number = $2, audit_sha256 = $3, audit_at = $4 \
             WHERE id = $1",
            params![organization, head.number, head.sha256.to_string(), at.0,],
        )
        .await?;
    Ok(())
}
