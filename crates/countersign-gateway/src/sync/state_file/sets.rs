//! The serial numbers that revocation lists name: a row for each set, whichever organizations have it. They need no
//! checksum, since they are known by their digests.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{bundle::OrganizationBundle, digest::Sha256, revoked_set::RevokedSet};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::contents::{FORMAT, StateError, damaged};

pub(super) const TABLES: &str = "CREATE TABLE revoked_sets (\
     sha256 BLOB PRIMARY KEY, records BLOB NOT NULL) STRICT; \
     CREATE TABLE set_uses (\
     organization TEXT NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (organization, sha256)) STRICT; \
     CREATE INDEX uses_by_set ON set_uses (sha256);";

/// Makes a file of the format before into one of this.
pub(super) fn add_tables(connection: &mut Connection) -> Result<(), StateError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(())
}

/// The sets, while organizations are written.
pub(super) struct Sets<'t> {
    transaction: &'t Transaction<'t>,
    /// Whether an organization may have let go of one.
    let_go: bool,
}

impl<'t> Sets<'t> {
    pub(super) const fn new(transaction: &'t Transaction<'t>) -> Self {
        Self {
            transaction,
            let_go: false,
        }
    }

    /// Writes the sets of an organization that are not there yet.
    pub(super) fn put(&mut self, organization: &OrganizationBundle) -> Result<(), StateError> {
        let id = organization.id.as_str();
        self.remove(id)?;
        let lists = organization.revocation_lists();
        for set in lists.filter_map(|list| list.set.as_ref()) {
            let sha256 = set.sha256();
            let sql = "INSERT OR IGNORE INTO set_uses (organization, sha256) VALUES (?1, ?2)";
            self.transaction
                .prepare_cached(sql)?
                .execute(params![id, sha256.as_ref()])?;
            let sql = "SELECT 1 FROM revoked_sets WHERE sha256 = ?1";
            let mut find = self.transaction.prepare_cached(sql)?;
            let there: Option<u32> = find
                .query_row(params![sha256.as_ref()], |row| row.get(0))
                .optional()?;
            if there.is_none() {
                let sql = "INSERT INTO revoked_sets (sha256, records) VALUES (?1, ?2)";
                let values = params![sha256.as_ref(), set.as_bytes()];
                self.transaction.prepare_cached(sql)?.execute(values)?;
            }
        }
        Ok(())
    }

    /// The organization has none any more.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), StateError> {
        let sql = "DELETE FROM set_uses WHERE organization = ?1";
        let removed = self.transaction.prepare_cached(sql)?.execute([id])?;
        self.let_go |= removed > 0;
        Ok(())
    }

    /// Removes the sets that no organization has any more.
    pub(super) fn finish(self) -> Result<(), StateError> {
        if self.let_go {
            let sql = "DELETE FROM revoked_sets WHERE NOT EXISTS \
                       (SELECT 1 FROM set_uses WHERE set_uses.sha256 = revoked_sets.sha256)";
            self.transaction.prepare_cached(sql)?.execute([])?;
        }
        Ok(())
    }
}

/// Puts its set to every list. One that is missing, or is not as it was written, makes the file useless: what the
/// list says would not be in force.
pub(super) fn attach(
    connection: &Connection,
    organizations: &mut [OrganizationBundle],
) -> Result<(), StateError> {
    let mut known: HashMap<Sha256, Arc<RevokedSet>> = HashMap::new();
    let lists = organizations.iter_mut();
    for list in lists.flat_map(|each| each.revocation_lists_mut()) {
        let set = match known.get(&list.revoked) {
            Some(set) => Arc::clone(set),
            None => Arc::new(read(connection, list.revoked)?),
        };
        known.insert(list.revoked, Arc::clone(&set));
        list.set = Some(set);
    }
    Ok(())
}

fn read(connection: &Connection, sha256: Sha256) -> Result<RevokedSet, StateError> {
    let sql = "SELECT records FROM revoked_sets WHERE sha256 = ?1";
    let mut find = connection.prepare_cached(sql)?;
    let records: Option<Vec<u8>> = find
        .query_row(params![sha256.as_ref()], |row| row.get(0))
        .optional()?;
    let records =
        records.ok_or_else(|| damaged("the serial numbers of a revocation list are missing"))?;
    let set = RevokedSet::read(records).map_err(damaged)?;
    if set.sha256() != sha256 {
        return Err(damaged(
            "the serial numbers of a revocation list are not as they were written",
        ));
    }
    Ok(set)
}
