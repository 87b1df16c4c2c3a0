//! The format before this one, which had a whole organization in each row: it is read once, and written
//! anew. A start while the control plane is down goes on with what it held.

use std::sync::Arc;

use countersign_types::{bundle::OrganizationBundle, digest::Sha256, history::HistoryPoint};
use rusqlite::Connection;

use super::{
    contents::{Entry, FORMAT, StateError, Stored, damaged, unsigned},
    rows, sets,
};
use crate::caller::organization::Organization;

pub(super) const FORMAT_BEFORE: u32 = 1;

/// What such a file holds; nothing when it was never written.
pub(super) fn read(connection: &Connection) -> Result<Option<Stored>, StateError> {
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(damaged(sound));
    }
    let mut found = connection.prepare("SELECT revision, token, contact, writer FROM state")?;
    let mut rows = found.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let revision = unsigned(row.get(0)?)?;
    let token = row.get::<_, String>(1)?.parse().map_err(damaged)?;
    let contact = unsigned(row.get(2)?)?;
    let same_writer = row.get::<_, String>(3)? == rows::WRITER;
    let point = HistoryPoint { revision, token };
    let good = same_writer && !point.token.is_none();
    Ok(Some(Stored {
        point: if good { point } else { HistoryPoint::START },
        revision,
        contact,
        organizations: read_organizations(connection)?,
    }))
}

fn read_organizations(connection: &Connection) -> Result<Vec<OrganizationBundle>, StateError> {
    let mut found = connection.prepare("SELECT bundle, checksum FROM organizations")?;
    let mut rows = found.query([])?;
    let mut organizations = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        if Sha256::of(&text).to_string() != row.get::<_, String>(1)? {
            return Err(damaged("an organization is not as it was written"));
        }
        organizations.push(serde_json::from_str(&text).map_err(damaged)?);
    }
    Ok(organizations)
}

/// Writes what it held in the format of today, all of it or nothing.
pub(super) fn convert(connection: &mut Connection, stored: &Stored) -> Result<(), StateError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("DROP TABLE organizations; DROP TABLE state;")?;
    transaction.execute_batch(rows::TABLES)?;
    transaction.execute_batch(sets::TABLES)?;
    let organizations = stored.organizations.iter().cloned();
    let organizations = organizations.map(|each| Arc::new(Organization::after(None, each)));
    rows::write(
        &transaction,
        &Entry {
            point: HistoryPoint {
                revision: stored.revision,
                token: stored.point.token,
            },
            contact: stored.contact,
            all: true,
            changed: organizations.collect(),
            removed: &[],
        },
        &mut rows::WrittenKeys::new(),
    )?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}
