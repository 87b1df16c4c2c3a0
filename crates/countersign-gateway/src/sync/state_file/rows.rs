//! The rows of the file: one for the point that it vouches for, one for each organization, and for an
//! organization with many keys one for each part of them, so that a change writes little more than itself.
//!
//! Each row has a checksum, and the point's row the sum of them all: what is lost, doubled or altered is found
//! without a second look at the whole file.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{
    UnixSeconds,
    bundle::{BundleKey, OrganizationBundle},
    digest::Sha256,
    history::HistoryPoint,
    id::OrganizationId,
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::{
    contents::{Entry, KeyPart, StateError, Stored, Sum, damaged, signed, unsigned},
    reading,
    sets::{self, Sets},
};
use crate::caller::organization::Organization;

pub(super) const TABLES: &str = "CREATE TABLE state (\
     id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, token TEXT NOT NULL, \
     contact INTEGER NOT NULL, writer TEXT NOT NULL, sum BLOB NOT NULL, seal BLOB NOT NULL) STRICT; \
     CREATE TABLE organizations (\
     id TEXT PRIMARY KEY, bundle TEXT NOT NULL, checksum BLOB NOT NULL) STRICT; \
     CREATE TABLE keys (\
     organization TEXT NOT NULL, part INTEGER NOT NULL, keys TEXT NOT NULL, checksum BLOB NOT NULL, \
     PRIMARY KEY (organization, part)) STRICT;";

/// What the organizations were written by: another version may know more of them than is written
/// here, and asks for all of them again.
pub(super) const WRITER: &str = env!("CARGO_PKG_VERSION");

/// The most keys that stand in their organization's own row.
const KEYS_IN_ROW: usize = 256;
/// About how many keys a part has, where there are more.
const KEYS_IN_PART: usize = 128;
/// The most parts of an organization's keys, a power of two.
const MOST_PARTS: usize = 1 << 12;

/// The keys that stand in parts, as they were written last: what is the same is not written again. They are shared
/// with what is in force.
pub(super) type WrittenKeys = HashMap<OrganizationId, Arc<[BundleKey]>>;

/// Brings the rows to the next point.
pub(super) fn write(
    transaction: &Transaction<'_>,
    entry: &Entry<'_>,
    written_keys: &mut WrittenKeys,
) -> Result<(), StateError> {
    if entry.all {
        written_keys.clear();
    }
    let mut rows = Rows {
        transaction,
        written_keys,
        sum: Sum::default(),
        // Then it is a new file, and an organization is in an entry once.
        none_before: entry.all,
    };
    if !entry.all {
        let sum: Vec<u8> = transaction.query_row("SELECT sum FROM state", [], |row| row.get(0))?;
        rows.sum.toggle(&sum);
    }
    let mut sets = Sets::new(transaction);
    for id in entry.removed {
        rows.remove(id)?;
        sets.remove(id.as_str())?;
    }
    for organization in &entry.changed {
        rows.put(organization)?;
        sets.put(organization.bundle())?;
    }
    sets.finish()?;
    rows.write_point(entry.point, entry.contact)
}

/// The rows, while they are written.
struct Rows<'t> {
    transaction: &'t Transaction<'t>,
    written_keys: &'t mut WrittenKeys,
    sum: Sum,
    /// Whether there is nothing to replace: then nothing is looked for.
    none_before: bool,
}

impl Rows<'_> {
    fn put(&mut self, organization: &Organization) -> Result<(), StateError> {
        let (id, keys) = (organization.id(), organization.keys());
        if keys.len() <= KEYS_IN_ROW {
            self.put_bundle(&organization.whole())?;
            self.written_keys.remove(id);
            return self.put_parts(id, HashMap::new(), &HashMap::new());
        }
        self.put_bundle(organization.bundle())?;
        let before = self.written_keys.insert(id.clone(), Arc::clone(keys));
        let before = before.unwrap_or_default();
        if Arc::ptr_eq(&before, keys) {
            return Ok(());
        }
        self.put_parts(id, parts_of(keys), &parts_of(&before))
    }

    /// Writes the parts of an organization's keys that are not the same as before, and takes away all others.
    fn put_parts(
        &mut self,
        id: &OrganizationId,
        parts: Parts<'_>,
        before: &Parts<'_>,
    ) -> Result<(), StateError> {
        let mut written = self.parts(id.as_str())?;
        for (part, keys) in parts {
            let checksum = written.remove(&part);
            if checksum.is_some() && before.get(&part) == Some(&keys) {
                continue;
            }
            let part = KeyPart {
                organization: id.clone(),
                part,
                keys: keys.into_iter().cloned().collect(),
            };
            self.put_part(&part, checksum.as_deref())?;
        }
        for (part, checksum) in written {
            self.sum.toggle(&checksum);
            let sql = "DELETE FROM keys WHERE organization = ?1 AND part = ?2";
            let mut delete = self.transaction.prepare_cached(sql)?;
            delete.execute(params![id.as_str(), part])?;
        }
        Ok(())
    }

    fn put_bundle(&mut self, bundle: &OrganizationBundle) -> Result<(), StateError> {
        self.forget_bundle(bundle.id.as_str())?;
        let text = serde_json::to_string(bundle).map_err(std::io::Error::from)?;
        let checksum = Sha256::of(&text);
        self.sum.toggle(checksum.as_ref());
        let sql = "INSERT INTO organizations (id, bundle, checksum) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (id) DO UPDATE SET bundle = excluded.bundle, checksum = excluded.checksum";
        self.transaction.prepare_cached(sql)?.execute(params![
            bundle.id.as_str(),
            text,
            checksum.as_ref()
        ])?;
        Ok(())
    }

    /// Takes the checksum of an organization's row out of the sum.
    fn forget_bundle(&mut self, id: &str) -> Result<(), StateError> {
        if self.none_before {
            return Ok(());
        }
        let sql = "SELECT checksum FROM organizations WHERE id = ?1";
        let mut find = self.transaction.prepare_cached(sql)?;
        let before: Option<Vec<u8>> = find.query_row([id], |row| row.get(0)).optional()?;
        self.sum.toggle(&before.unwrap_or_default());
        Ok(())
    }

    /// The parts of an organization's keys that are there, by their checksums.
    fn parts(&self, id: &str) -> Result<HashMap<u32, Vec<u8>>, StateError> {
        if self.none_before {
            return Ok(HashMap::new());
        }
        let sql = "SELECT part, checksum FROM keys WHERE organization = ?1";
        let mut find = self.transaction.prepare_cached(sql)?;
        let found = find.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Writes a part, unless it is there already.
    fn put_part(&mut self, part: &KeyPart, before: Option<&[u8]>) -> Result<(), StateError> {
        let text = serde_json::to_string(part).map_err(std::io::Error::from)?;
        let checksum = Sha256::of(&text);
        if before == Some(checksum.as_ref()) {
            return Ok(());
        }
        self.sum.toggle(before.unwrap_or_default());
        self.sum.toggle(checksum.as_ref());
        let sql = "INSERT INTO keys (organization, part, keys, checksum) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (organization, part) \
                   DO UPDATE SET keys = excluded.keys, checksum = excluded.checksum";
        self.transaction.prepare_cached(sql)?.execute(params![
            part.organization.as_str(),
            part.part,
            text,
            checksum.as_ref()
        ])?;
        Ok(())
    }

    fn remove(&mut self, id: &OrganizationId) -> Result<(), StateError> {
        self.written_keys.remove(id);
        let id = id.as_str();
        self.forget_bundle(id)?;
        for checksum in self.parts(id)?.values() {
            self.sum.toggle(checksum);
        }
        for sql in [
            "DELETE FROM organizations WHERE id = ?1",
            "DELETE FROM keys WHERE organization = ?1",
        ] {
            self.transaction.prepare_cached(sql)?.execute([id])?;
        }
        Ok(())
    }

    fn write_point(&self, point: HistoryPoint, contact: UnixSeconds) -> Result<(), StateError> {
        let sql = "INSERT OR REPLACE INTO state (id, revision, token, contact, writer, sum, seal) \
                   VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
        self.transaction.prepare_cached(sql)?.execute(params![
            signed(point.revision),
            point.token.to_string(),
            signed(contact),
            WRITER,
            &self.sum.0[..],
            self.sum.seal(point.revision, point.token).as_ref()
        ])?;
        Ok(())
    }
}

/// Keys in parts.
type Parts<'k> = HashMap<u32, Vec<&'k BundleKey>>;

/// Keys in parts, by their digests: a key that comes or goes changes one of them.
fn parts_of(keys: &[BundleKey]) -> Parts<'_> {
    let parts = (keys.len() / KEYS_IN_PART).next_power_of_two();
    let mask = parts.min(MOST_PARTS) - 1;
    let mut all = Parts::new();
    for key in keys {
        let bytes = key.sha256.as_bytes().first_chunk().copied();
        let place = usize::from(u16::from_be_bytes(bytes.unwrap_or_default())) & mask;
        all.entry(u32::try_from(place).unwrap_or(0))
            .or_default()
            .push(key);
    }
    all
}

/// What the rows hold; nothing when none was written.
pub(super) fn read(connection: &Connection) -> Result<Option<Stored>, StateError> {
    let sql = "SELECT revision, token, contact, writer, sum, seal FROM state";
    let mut found = connection.prepare(sql)?;
    let mut rows = found.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let revision = unsigned(row.get(0)?)?;
    let token = row.get::<_, String>(1)?.parse().map_err(damaged)?;
    let contact = unsigned(row.get(2)?)?;
    let same_writer = row.get::<_, String>(3)? == WRITER;
    let mut sum = Sum::default();
    sum.toggle(&row.get::<_, Vec<u8>>(4)?);
    if sum.seal(revision, token).as_ref() != row.get::<_, Vec<u8>>(5)? {
        return Err(damaged("the point is not as it was written"));
    }
    let (mut organizations, read) = reading::read(connection)?;
    if read != sum {
        return Err(damaged("organizations are missing, or are there twice"));
    }
    sets::attach(connection, &mut organizations)?;
    let good = same_writer && !token.is_none();
    Ok(Some(Stored {
        point: if good {
            HistoryPoint { revision, token }
        } else {
            HistoryPoint::START
        },
        revision,
        contact,
        organizations,
    }))
}
