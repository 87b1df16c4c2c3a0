//! The file that a gateway starts from when the control plane is down: an SQLite database of what
//! is in force, which names the point of the history that it vouches for.
//!
//! A transaction brings it from one point to the next, and is durable when it is committed; where everything is
//! written, a new file takes its place. A file that cannot be brought to the next point is removed: after a
//! restart it would bring back what was taken away. A file that cannot be read in full is no file.

mod contents;
mod former;
mod reading;
mod rows;
mod sets;

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use countersign_types::UnixSeconds;
use rusqlite::{Connection, params};

pub(crate) use self::contents::{Entry, StateError, Stored};
use self::{
    contents::{FORMAT, FORMAT_WITHOUT_SETS, signed},
    former::FORMAT_BEFORE,
    rows::WrittenKeys,
};

const NAME: &str = "state.db";
/// What SQLite keeps beside it.
const BESIDE: [&str; 2] = ["state.db-wal", "state.db-shm"];
/// What versions before this one kept instead.
const FORMER: [&str; 3] = ["bundle.json", "last_contact", "heard_at"];
/// Where everything is written before it takes the place of what was there.
const NEW: &str = "state.db.new";
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA journal_size_limit = 16777216;";
/// While everything is written, nothing of it is good for anything: one sync makes it so. A log would hold all of
/// it once more, to be copied with the next change.
const SETTINGS_OF_NEW: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;";
/// After how many organizations the log is copied into the file, when nobody waits for it.
const LOGGED: usize = 256;
/// SQLite's own limit.
const MOST_PAGES: u32 = 4_294_967_294;
/// The file. It is opened when it is first written.
#[derive(Debug)]
pub(crate) struct StateFile {
    directory: PathBuf,
    connection: Option<Connection>,
    /// The most pages that it may have; none for as many as the disk holds.
    room: Option<u32>,
    /// How many organizations the log holds.
    logged: usize,
    written_keys: WrittenKeys,
}

impl StateFile {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            connection: None,
            room: None,
            logged: 0,
            written_keys: WrittenKeys::new(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    /// Lets it have no more pages than this from now on, as on a disk that is full then.
    pub(crate) fn limit(&mut self, room: Option<u32>) {
        self.room = room;
        if let Some(connection) = &self.connection
            && let Err(error) = set_room(connection, room)
        {
            tracing::warn!(%error, "cannot limit the size of the file");
        }
    }

    /// What it holds; nothing when there is no file.
    pub(crate) fn load(&mut self) -> Result<Option<Stored>, StateError> {
        // What was not finished is good for nothing.
        remove_if_there(&self.directory.join(NEW))?;
        if !self.path().try_exists()? {
            return Ok(None);
        }
        let mut connection = Connection::open(self.path())?;
        let (stored, format) = read(&connection)?;
        if let Some(stored) = &stored {
            connection.execute_batch(SETTINGS)?;
            // The log was created just now: without its name, what is written to it would be lost.
            sync_directory(&self.directory)?;
            let converted = match format {
                FORMAT_BEFORE => former::convert(&mut connection, stored),
                FORMAT_WITHOUT_SETS => sets::add_tables(&mut connection),
                _ => Ok(()),
            };
            match converted {
                Ok(()) => self.connection = Some(connection),
                // It stays as it is, and is replaced by the next write of the whole.
                Err(error) => {
                    tracing::warn!(%error, "cannot convert the file of an earlier version")
                }
            }
        }
        Ok(stored)
    }

    /// Brings the file to the next point, durably; or else removes it. When it cannot even be
    /// removed, the second error says why.
    pub(crate) fn write(&mut self, entry: &Entry<'_>) -> Result<(), (StateError, io::Result<()>)> {
        match self.try_write(entry) {
            Ok(()) => {
                self.remove_former();
                Ok(())
            }
            Err(error) => Err((error, self.remove())),
        }
    }

    /// Writes the time of contact alone. A file that keeps an earlier one stays true.
    pub(crate) fn write_contact(&mut self, contact: UnixSeconds) -> Result<(), StateError> {
        if let Some(connection) = &mut self.connection {
            connection.execute("UPDATE state SET contact = ?1", params![signed(contact)])?;
        }
        Ok(())
    }

    fn try_write(&mut self, entry: &Entry<'_>) -> Result<(), StateError> {
        if entry.all {
            return self.replace(entry);
        }
        // Who removed the file from outside made it worthless, though it can still be written.
        let there = self.path().try_exists()?;
        let connection = self.connection.as_mut().filter(|_| there);
        let connection = connection.ok_or(StateError::Gone)?;
        write_rows(connection, entry, &mut self.written_keys)?;
        self.logged += entry.changed.len() + 1;
        Ok(())
    }

    /// Copies the log into the file if it has become long. Until then it only grows, so that no change waits
    /// for that.
    pub(crate) fn settle(&mut self) {
        if self.logged < LOGGED {
            return;
        }
        self.logged = 0;
        let Some(connection) = &self.connection else {
            return;
        };
        let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = copied {
            tracing::warn!(%error, "cannot copy the log of what is in force into its file");
        }
    }

    /// Puts a new file in the place of what is there.
    fn replace(&mut self, entry: &Entry<'_>) -> Result<(), StateError> {
        let new = self.directory.join(NEW);
        remove_if_there(&new)?;
        // For its owner only, before SQLite would create it readable by others.
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&new)?;
        let mut connection = Connection::open(&new)?;
        connection.execute_batch(SETTINGS_OF_NEW)?;
        set_room(&connection, self.room)?;
        connection.execute_batch(rows::TABLES)?;
        connection.execute_batch(sets::TABLES)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        write_rows(&mut connection, entry, &mut self.written_keys)?;
        drop(connection);
        file.sync_all()?;
        self.let_go_of_log()?;
        fs::rename(&new, self.path())?;
        let connection = Connection::open(self.path())?;
        connection.execute_batch(SETTINGS)?;
        set_room(&connection, self.room)?;
        // Its name, and that of its log.
        sync_directory(&self.directory)?;
        (self.connection, self.logged) = (Some(connection), 0);
        Ok(())
    }

    /// Leaves no log that would be taken for that of another file.
    fn let_go_of_log(&mut self) -> io::Result<()> {
        // Whoever closes it last copies its log, and removes it.
        self.connection = None;
        let beside = BESIDE.map(|name| self.directory.join(name));
        let mut left = beside.iter().map(|path| path.try_exists());
        if left.any(|there| there.unwrap_or(true)) {
            self.remove_file()?;
        }
        Ok(())
    }

    /// Removes the file, for good.
    fn remove(&mut self) -> io::Result<()> {
        self.connection = None;
        self.written_keys.clear();
        remove_if_there(&self.directory.join(NEW))?;
        self.remove_file()
    }

    fn remove_file(&self) -> io::Result<()> {
        for name in [NAME].into_iter().chain(BESIDE) {
            remove_if_there(&self.directory.join(name))?;
        }
        sync_directory(&self.directory)
    }

    fn remove_former(&self) {
        for name in FORMER {
            let path = self.directory.join(name);
            if let Err(error) = remove_if_there(&path) {
                tracing::warn!(%error, path = %path.display(), "cannot remove what an earlier version left");
            }
        }
    }
}

fn write_rows(
    connection: &mut Connection,
    entry: &Entry<'_>,
    written_keys: &mut WrittenKeys,
) -> Result<(), StateError> {
    let transaction = connection.transaction()?;
    rows::write(&transaction, entry, written_keys)?;
    transaction.commit()?;
    Ok(())
}

fn set_room(connection: &Connection, room: Option<u32>) -> rusqlite::Result<()> {
    connection.pragma_update(None, "max_page_count", room.unwrap_or(MOST_PAGES))
}

/// Removes a file, or if only that is forbidden, empties it.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let emptied = fs::File::options().write(true).truncate(true).open(path);
            emptied.and_then(|file| file.sync_all()).map_err(|_| error)
        }
        _ => Ok(()),
    }
}

/// Makes a name, or its absence, durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// What the file holds, and in which format.
fn read(connection: &Connection) -> Result<(Option<Stored>, u32), StateError> {
    let format = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let stored = match format {
        // Created, and never written.
        0 => None,
        FORMAT | FORMAT_WITHOUT_SETS => rows::read(connection)?,
        FORMAT_BEFORE => former::read(connection)?,
        later => return Err(StateError::LaterFormat(later)),
    };
    Ok((stored, format))
}

#[cfg(test)]
mod tests {
    use std::{slice, sync::Arc};

    use super::*;
    use crate::caller::organization::Organization;
    use countersign_types::{
        api_key::KeyKind,
        bundle::{
            BundleCertificate, BundleKey, BundleRevocation, BundleRevocationList, CrlMissing,
            OrganizationBundle,
        },
        digest::{KeyDigest, Sha256},
        history::{HistoryPoint, RevisionToken},
        id::{ApiKeyId, OrganizationId},
        revoked_set::{Revocation, RevokedSet, record},
    };

    fn bundle(name: &str, revision: u64) -> OrganizationBundle {
        OrganizationBundle {
            id: format!("org-{name}").parse().unwrap(),
            revision,
            digest: Some(Sha256::of(format!("{name} {revision}"))),
            certificates: Vec::new(),
            active: Vec::new(),
            with_reported: Vec::new(),
            projects: Vec::new(),
            keys: Vec::new(),
            federation: None,
            audit: None,
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
        }
    }

    fn point(revision: u64) -> HistoryPoint {
        HistoryPoint {
            revision,
            token: RevisionToken::from_random(u128::from(revision)),
        }
    }

    fn organization(bundle: &OrganizationBundle) -> Arc<Organization> {
        Arc::new(Organization::after(None, bundle.clone()))
    }

    fn entry(revision: u64, all: bool, changed: &[OrganizationBundle]) -> Entry<'static> {
        Entry {
            point: point(revision),
            contact: 1000 + revision,
            all,
            changed: changed.iter().map(organization).collect(),
            removed: &[],
        }
    }

    /// What a start would find.
    fn found(
        directory: &Path,
    ) -> Result<Option<(HistoryPoint, Vec<OrganizationBundle>)>, StateError> {
        let mut file = StateFile::new(directory.to_owned());
        let stored = file.load()?;
        Ok(stored.map(|mut stored| {
            stored.organizations.sort_by(|a, b| a.id.cmp(&b.id));
            (stored.point, stored.organizations)
        }))
    }

    /// Revision 7 with two organizations.
    fn written(directory: &Path) -> StateFile {
        let mut file = StateFile::new(directory.to_owned());
        assert_eq!(file.load().unwrap(), None);
        assert!(!file.path().exists(), "a look makes no file");
        file.write(&entry(7, true, &[bundle("a", 3), bundle("b", 7)]))
            .unwrap();
        file
    }

    #[test]
    fn what_is_written_is_found_by_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        let [a, b, c] = [bundle("a", 8), bundle("b", 7), bundle("c", 9)];
        file.write(&entry(8, false, std::slice::from_ref(&a)))
            .unwrap();
        let both = [a, b];
        let both = Some((point(8), both.to_vec()));
        assert_eq!(found(directory.path()).unwrap(), both);
        file.write_contact(5000).unwrap();
        let stored = StateFile::new(directory.path().to_owned()).load().unwrap();
        assert_eq!(stored.unwrap().contact, 5000);
        assert_eq!(found(directory.path()).unwrap(), both);

        let removed = ["org-a".parse().unwrap(), "org-b".parse().unwrap()];
        let changed = [c.clone()];
        let last = Entry {
            removed: &removed,
            ..entry(9, false, &changed)
        };
        file.write(&last).unwrap();
        assert_eq!(
            found(directory.path()).unwrap(),
            Some((point(9), vec![c.clone()]))
        );
        let d = bundle("d", 10);
        file.write(&entry(10, true, std::slice::from_ref(&d)))
            .unwrap();
        assert_eq!(found(directory.path()).unwrap(), Some((point(10), vec![d])));
        use std::os::unix::fs::PermissionsExt as _;
        for name in [NAME, BESIDE[0]] {
            let mode = fs::metadata(directory.path().join(name))
                .unwrap()
                .permissions();
            assert_eq!(mode.mode() & 0o077, 0, "{name} is its owner's alone");
        }
    }

    #[test]
    fn a_long_log_is_copied_into_the_file_once_a_write_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        let path = file.path();
        let alone = || {
            let alone = tempfile::tempdir().unwrap();
            fs::copy(&path, alone.path().join(NAME)).unwrap();
            let (point, _) = found(alone.path()).unwrap().unwrap();
            point.revision
        };
        assert_eq!(alone(), 7, "a file that is written whole needs no log");
        let last = 7 + u64::try_from(LOGGED / 2).unwrap();
        for revision in 8..=last {
            let changed = [bundle("a", revision)];
            file.write(&entry(revision, false, &changed)).unwrap();
        }
        assert_eq!(alone(), 7);
        file.settle();
        assert_eq!(alone(), last);
    }

    #[test]
    fn a_full_disk_leaves_no_file_and_room_makes_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        file.limit(Some(1));
        let many: Vec<_> = (0..1000).map(|n| bundle(&n.to_string(), 8)).collect();
        let (error, removed) = file.write(&entry(8, false, &many)).unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        removed.unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(found(directory.path()).unwrap(), None);
        let whole = [bundle("a", 9)];
        file.write(&entry(9, true, &whole)).unwrap_err().1.unwrap();
        assert_eq!(found(directory.path()).unwrap(), None);
        file.limit(None);
        file.write(&entry(9, true, &whole)).unwrap();
        let (point, organizations) = found(directory.path()).unwrap().unwrap();
        assert_eq!((point.revision, organizations.len()), (9, 1));
    }

    /// Changes the bytes of a file that nobody has open.
    fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_file_that_is_damaged_or_of_a_later_format_is_none_and_is_replaced() {
        type Damage = (&'static str, fn(&Path));
        let damages: [Damage; 6] = [
            ("not a database", |path| fs::write(path, "{}").unwrap()),
            ("malformed", |path| {
                change(path, |bytes| bytes.truncate(bytes.len() / 2))
            }),
            ("as it was written", |path| {
                change(path, |bytes| {
                    let at = bytes.windows(12).position(|at| at == b"\"revision\":3");
                    bytes[at.unwrap() + 11] = b'4';
                });
            }),
            ("later version", |path| {
                let connection = Connection::open(path).unwrap();
                connection
                    .pragma_update(None, "user_version", FORMAT + 1)
                    .unwrap();
            }),
            ("no such table", |path| {
                let connection = Connection::open(path).unwrap();
                connection
                    .execute_batch("DROP TABLE organizations")
                    .unwrap();
            }),
            ("32 lower-case", |path| {
                let connection = Connection::open(path).unwrap();
                connection
                    .execute_batch("UPDATE state SET token = 'x'")
                    .unwrap();
            }),
        ];
        for (words, damage) in damages {
            let directory = tempfile::tempdir().unwrap();
            drop(written(directory.path()));
            let mut file = StateFile::new(directory.path().to_owned());
            damage(&file.path());
            let error = file.load().unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
            file.write(&entry(9, true, &[bundle("a", 9)])).unwrap();
            let (point, organizations) = found(directory.path()).unwrap().unwrap();
            assert_eq!((point.revision, organizations.len()), (9, 1), "{words}");
        }
    }

    #[test]
    fn a_file_that_lost_an_organization_without_a_trace_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let file = written(directory.path());
        let connection = file.connection.as_ref().unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'organizations'";
        let root: u32 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        let root = usize::try_from(root).unwrap();
        let path = file.path();
        drop(file);
        change(&path, |bytes| {
            let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
            // How many rows the page holds.
            let count = &mut bytes[(root - 1) * size + 3..][..2];
            assert_eq!(count, [0, 2]);
            count[1] = 1;
        });
        let error = found(directory.path()).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
    }

    #[test]
    fn the_log_of_a_file_that_is_replaced_goes_with_it() {
        let (before, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut file = written(before.path());
        file.write(&entry(8, false, &[bundle("a", 8)])).unwrap();
        let log = directory.path().join(BESIDE[0]);
        fs::copy(before.path().join(BESIDE[0]), log).unwrap();
        // All pages are in it: beside another file it would make that what this one was.
        let mut file = StateFile::new(directory.path().to_owned());
        file.write(&entry(9, true, &[bundle("c", 9)])).unwrap();
        drop(file);
        let c = Some((point(9), vec![bundle("c", 9)]));
        assert_eq!(found(directory.path()).unwrap(), c);
        for name in [NAME].into_iter().chain(BESIDE) {
            fs::write(directory.path().join(name), "what nobody closed").unwrap();
        }
        let mut file = StateFile::new(directory.path().to_owned());
        file.remove().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_may_not_be_removed_is_emptied() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        fs::write(&path, "old").unwrap();
        let allow = |mode| {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        allow(0o500);
        remove_if_there(&path).unwrap();
        // For the superuser nothing is forbidden.
        assert!(fs::read(&path).unwrap_or_default().is_empty());
        allow(0o700);
    }

    #[test]
    fn what_cannot_be_removed_is_not_said_to_be() {
        let directory = tempfile::tempdir().unwrap();
        assert!(remove_if_there(&directory.path().join("none")).is_ok());
        // A directory can be neither removed nor emptied as a file.
        assert!(remove_if_there(directory.path()).is_err());
    }

    #[test]
    fn a_torn_write_leaves_the_point_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        let before = found(directory.path()).unwrap();
        let connection = file.connection.as_ref().unwrap();
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        file.write(&entry(8, false, &[bundle("a", 8)])).unwrap();
        let log = fs::read(directory.path().join(BESIDE[0])).unwrap();
        let after = Some((point(8), vec![bundle("a", 8), bundle("b", 7)]));
        let mut seen = Vec::new();
        for cut in (0..log.len()).step_by(97).chain([log.len()]) {
            let torn = tempfile::tempdir().unwrap();
            fs::copy(file.path(), torn.path().join(NAME)).unwrap();
            fs::write(torn.path().join(BESIDE[0]), &log[..cut]).unwrap();
            seen.push(found(torn.path()).unwrap());
        }
        let kept = seen.iter().take_while(|each| **each == before).count();
        assert!(kept > 10);
        assert!(seen[kept..].iter().all(|each| *each == after));
        assert_eq!(seen.last(), Some(&after));
    }

    #[test]
    fn a_file_that_was_removed_from_outside_is_written_again_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        fs::remove_file(file.path()).unwrap();
        let (error, _) = file.write(&entry(8, false, &[bundle("a", 8)])).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
        assert_eq!(found(directory.path()).unwrap(), None);
        file.write(&entry(8, true, &[bundle("a", 8)])).unwrap();
        let (point, organizations) = found(directory.path()).unwrap().unwrap();
        assert_eq!((point.revision, organizations.len()), (8, 1));
        drop(directory);
        let (_, removed) = file.write(&entry(9, true, &[])).unwrap_err();
        assert!(removed.is_err());
    }

    #[test]
    fn what_another_version_wrote_or_no_token_names_is_fetched_again() {
        for writer in ["0.0.0", rows::WRITER] {
            let directory = tempfile::tempdir().unwrap();
            let mut file = written(directory.path());
            if writer == rows::WRITER {
                let without_token = HistoryPoint {
                    token: RevisionToken::default(),
                    ..point(7)
                };
                let entry = Entry {
                    point: without_token,
                    ..entry(7, false, &[])
                };
                file.write(&entry).unwrap();
            }
            let connection = file.connection.as_ref().unwrap();
            let sql = format!("UPDATE state SET writer = '{writer}'");
            connection.execute_batch(&sql).unwrap();
            let stored = StateFile::new(directory.path().to_owned()).load();
            let stored = stored.unwrap().unwrap();
            assert_eq!((stored.point, stored.revision), (HistoryPoint::START, 7));
            assert_eq!(stored.organizations.len(), 2);
        }
    }

    fn keys(numbers: impl Iterator<Item = u128>) -> Vec<BundleKey> {
        let key = |number: u128| BundleKey {
            id: ApiKeyId::from_random(number),
            kind: KeyKind::Admin,
            sha256: KeyDigest::of(number.to_string()),
            project: None,
            expires_at: None,
        };
        numbers.map(key).collect()
    }

    #[test]
    fn of_many_keys_only_the_part_is_written_that_changed() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        let with_keys = |revision, numbers: std::ops::Range<u128>| OrganizationBundle {
            keys: keys(numbers),
            ..bundle("a", revision)
        };
        let mut write = |revision, of: &OrganizationBundle| {
            let before = file.connection.as_ref().map(Connection::total_changes);
            file.write(&entry(revision, false, std::slice::from_ref(of)))
                .unwrap();
            let mut stored = found(directory.path()).unwrap().unwrap().1;
            stored[0].keys.sort_by(|one, other| one.id.cmp(&other.id));
            let mut expected = of.clone();
            expected.keys.sort_by(|one, other| one.id.cmp(&other.id));
            assert_eq!(stored, [expected, bundle("b", 7)]);
            let after = file.connection.as_ref().map(Connection::total_changes);
            after.unwrap() - before.unwrap()
        };
        assert_eq!(
            write(8, &with_keys(8, 0..5_000)),
            66,
            "64 parts, and two rows"
        );
        assert_eq!(
            write(9, &with_keys(9, 0..5_001)),
            3,
            "one part, and two rows"
        );
        assert_eq!(write(10, &with_keys(10, 0..5_001)), 2, "no part");
        assert_eq!(write(11, &with_keys(11, 1..5_001)), 3);
        assert_eq!(write(12, &with_keys(12, 0..200)), 66, "all parts go");
        let removed = ["org-a".parse().unwrap()];
        let last = Entry {
            removed: &removed,
            ..entry(13, false, &[])
        };
        file.write(&last).unwrap();
        let b = Some((point(13), vec![bundle("b", 7)]));
        assert_eq!(found(directory.path()).unwrap(), b);
    }

    fn with_list(name: &str, revision: u64, serials: &[u8]) -> OrganizationBundle {
        let revocation = Revocation {
            at: 1,
            reason: None,
        };
        let records = serials.iter().map(|serial| record(&[*serial], revocation));
        let set = RevokedSet::new(records.collect()).unwrap();
        let list = BundleRevocationList {
            issuer: Sha256::ZERO,
            issuer_name: "CN=CA".to_owned(),
            number: None,
            this_update: 1,
            next_update: 2,
            only_user_certificates: false,
            revoked: set.sha256(),
            set: Some(Arc::new(set)),
        };
        let certificate = BundleCertificate {
            id: "cert_a".parse().unwrap(),
            pem: String::new(),
            cel_policy: None,
            reported_policy: None,
            revocation: Some(BundleRevocation {
                missing: CrlMissing::Deny,
                lists: vec![list],
            }),
            floor: None,
            reported_floor: None,
        };
        OrganizationBundle {
            certificates: vec![certificate],
            ..bundle(name, revision)
        }
    }

    fn sets(file: &StateFile) -> u32 {
        let connection = file.connection.as_ref().unwrap();
        let sql = "SELECT count(*) FROM revoked_sets";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_set_is_there_once_and_as_long_as_an_organization_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = written(directory.path());
        let mut write = |revision, changed: &[OrganizationBundle], removed: &[OrganizationId]| {
            let all = Entry {
                removed,
                ..entry(revision, false, changed)
            };
            file.write(&all).unwrap();
            let stored = found(directory.path()).unwrap().unwrap().1;
            (sets(&file), stored)
        };
        let [a, b] = ["a", "b"].map(|name| with_list(name, 8, &[1, 2]));
        assert_eq!(
            write(8, slice::from_ref(&a), &[]),
            (1, vec![a, bundle("b", 7)])
        );
        let a = with_list("a", 9, &[1, 2]);
        let both = [a.clone(), b.clone()];
        assert_eq!(write(9, &both, &[]), (1, vec![a, b.clone()]));
        let a = with_list("a", 10, &[1, 2, 3]);
        assert_eq!(write(10, slice::from_ref(&a), &[]), (2, vec![a.clone(), b]));
        let b = bundle("b", 11);
        assert_eq!(write(11, slice::from_ref(&b), &[]), (1, vec![a, b.clone()]));
        let gone = ["org-a".parse().unwrap()];
        assert_eq!(write(12, &[], &gone), (0, vec![b]));
    }

    #[test]
    fn a_file_without_a_set_or_with_another_is_no_file() {
        for damage in [
            "DELETE FROM revoked_sets",
            "UPDATE revoked_sets SET records = x''",
            "UPDATE revoked_sets SET records = substr(records, 1, 20)",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let mut file = written(directory.path());
            let changed = [with_list("a", 8, &[1, 2])];
            file.write(&entry(8, false, &changed)).unwrap();
            let connection = file.connection.as_ref().unwrap();
            connection.execute_batch(damage).unwrap();
            let error = found(directory.path()).unwrap_err();
            assert!(matches!(error, StateError::Damaged(_)), "{damage}: {error}");
        }
    }

    #[test]
    fn a_file_from_before_revocation_lists_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let file = written(directory.path());
        let connection = file.connection.as_ref().unwrap();
        connection
            .execute_batch("DROP TABLE revoked_sets; DROP TABLE set_uses; PRAGMA user_version = 2")
            .unwrap();
        drop(file);
        let mut file = StateFile::new(directory.path().to_owned());
        assert_eq!(file.load().unwrap().unwrap().point, point(7));
        let a = with_list("a", 8, &[1]);
        file.write(&entry(8, false, slice::from_ref(&a))).unwrap();
        let both = Some((point(8), vec![a, bundle("b", 7)]));
        assert_eq!(found(directory.path()).unwrap(), both);
    }

    #[test]
    fn the_format_before_this_one_is_read_and_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let connection = Connection::open(directory.path().join(NAME)).unwrap();
        let tables = "CREATE TABLE state (\
             id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, token TEXT NOT NULL, \
             contact INTEGER NOT NULL, writer TEXT NOT NULL) STRICT; \
             CREATE TABLE organizations (\
             id TEXT PRIMARY KEY, digest TEXT, bundle TEXT NOT NULL, checksum TEXT NOT NULL) STRICT;";
        connection.execute_batch(tables).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let a = bundle("a", 3);
        let text = serde_json::to_string(&a).unwrap();
        let checksum = Sha256::of(&text).to_string();
        let insert = "INSERT INTO organizations VALUES ('org-a', NULL, ?1, ?2)";
        connection.execute(insert, [text, checksum]).unwrap();
        let insert = "INSERT INTO state VALUES (1, 7, ?1, 1007, ?2)";
        let token = point(7).token.to_string();
        connection.execute(insert, [&token, rows::WRITER]).unwrap();
        drop(connection);
        let mut file = StateFile::new(directory.path().to_owned());
        let stored = file.load().unwrap().unwrap();
        assert_eq!((stored.point, stored.contact), (point(7), 1007));
        assert_eq!(stored.organizations, std::slice::from_ref(&a));
        let b = bundle("b", 8);
        file.write(&entry(8, false, std::slice::from_ref(&b)))
            .unwrap();
        let both = Some((point(8), vec![a, b]));
        assert_eq!(found(directory.path()).unwrap(), both);
    }

    #[test]
    fn what_earlier_versions_left_is_ignored_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        for name in FORMER {
            fs::write(directory.path().join(name), "{").unwrap();
        }
        drop(written(directory.path()));
        for name in FORMER {
            assert!(!directory.path().join(name).exists(), "{name}");
        }
    }
}
