//! The file that a gateway starts from when the control plane is down: an SQLite database of what
//! is in force, which names the point of the history that it vouches for.
//!
//! A transaction brings it from one point to the next, and is durable when it is committed. A file
//! that cannot be brought to the next point is removed: after a restart it would bring back what
//! was taken away. A file that cannot be read in full is no file.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use countersign_types::{
    UnixSeconds, bundle::OrganizationBundle, digest::Sha256, history::HistoryPoint,
    id::OrganizationId,
};
use rusqlite::{Connection, Transaction, params};

const NAME: &str = "state.db";
/// What SQLite keeps beside it.
const BESIDE: [&str; 2] = ["state.db-wal", "state.db-shm"];
/// What versions before this one kept instead.
const FORMER: [&str; 3] = ["bundle.json", "last_contact", "heard_at"];
/// The format of the file, in `user_version`. A file of a later one is not read.
const FORMAT: u32 = 1;
/// What the organizations were written by: another version may know more of them than is written
/// here, and asks for all of them again.
const WRITER: &str = env!("CARGO_PKG_VERSION");

const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA journal_size_limit = 16777216;";
/// SQLite's own limit.
const MOST_PAGES: u32 = 4_294_967_294;
const TABLES: &str = "CREATE TABLE state (\
     id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, token TEXT NOT NULL, \
     contact INTEGER NOT NULL, writer TEXT NOT NULL) STRICT; \
     CREATE TABLE organizations (\
     id TEXT PRIMARY KEY, digest TEXT, bundle TEXT NOT NULL, checksum TEXT NOT NULL) STRICT;";

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    #[error("it was written by a later version of this program (format {0})")]
    LaterFormat(u32),
    #[error("it is gone")]
    Gone,
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The point that it vouches for; the start where all is to be asked for again.
    pub(crate) point: HistoryPoint,
    /// The revision, whatever the point is good for.
    pub(crate) revision: u64,
    pub(crate) contact: UnixSeconds,
    pub(crate) organizations: Vec<OrganizationBundle>,
}

/// What is to be written.
pub(crate) struct Entry<'a> {
    pub(crate) point: HistoryPoint,
    pub(crate) contact: UnixSeconds,
    /// Whether the organizations that are there go first.
    pub(crate) all: bool,
    pub(crate) changed: Vec<&'a OrganizationBundle>,
    pub(crate) removed: &'a [OrganizationId],
}

/// The file. It is opened when it is first written.
#[derive(Debug)]
pub(crate) struct StateFile {
    directory: PathBuf,
    connection: Option<Connection>,
    /// The most pages that it may have; none for as many as the disk holds.
    room: Option<u32>,
}

impl StateFile {
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            connection: None,
            room: None,
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
        if !self.path().try_exists()? {
            return Ok(None);
        }
        let connection = Connection::open(self.path())?;
        let stored = read(&connection)?;
        if stored.is_some() {
            connection.execute_batch(SETTINGS)?;
            // The log was created just now: without its name, what is written to it would be lost.
            sync_directory(&self.directory)?;
            self.connection = Some(connection);
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
        // Who removed the file from outside made it worthless, though it can still be written.
        if self.connection.is_none() || !self.path().try_exists()? {
            if !entry.all {
                return Err(StateError::Gone);
            }
            // Whatever is there could not be read in full.
            self.remove()?;
            self.connection = Some(self.create()?);
        }
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let transaction = connection.transaction()?;
        write_entry(&transaction, entry)?;
        transaction.commit()?;
        Ok(())
    }

    fn create(&self) -> Result<Connection, StateError> {
        // For its owner only, before SQLite would create it readable by others.
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path())?;
        file.sync_all()?;
        let connection = Connection::open(self.path())?;
        connection.execute_batch(SETTINGS)?;
        set_room(&connection, self.room)?;
        connection.execute_batch(TABLES)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        sync_directory(&self.directory)?;
        Ok(connection)
    }

    /// Removes the file, for good.
    fn remove(&mut self) -> io::Result<()> {
        self.connection = None;
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

fn write_entry(transaction: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), StateError> {
    if entry.all {
        transaction.execute("DELETE FROM organizations", [])?;
    }
    let mut delete = transaction.prepare_cached("DELETE FROM organizations WHERE id = ?1")?;
    for id in entry.removed {
        delete.execute(params![id.as_str()])?;
    }
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO organizations (id, digest, bundle, checksum) \
         VALUES (?1, ?2, ?3, ?4)",
    )?;
    for bundle in &entry.changed {
        let text = serde_json::to_string(bundle).map_err(io::Error::from)?;
        let digest = bundle.digest.map(|digest| digest.to_string());
        let checksum = Sha256::of(&text).to_string();
        insert.execute(params![bundle.id.as_str(), digest, text, checksum])?;
    }
    transaction.execute(
        "INSERT OR REPLACE INTO state (id, revision, token, contact, writer) \
         VALUES (1, ?1, ?2, ?3, ?4)",
        params![
            signed(entry.point.revision),
            entry.point.token.to_string(),
            signed(entry.contact),
            WRITER
        ],
    )?;
    Ok(())
}

fn read(connection: &Connection) -> Result<Option<Stored>, StateError> {
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(StateError::Damaged(sound));
    }
    let format = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match format {
        // Created, and never written.
        0 => return Ok(None),
        FORMAT => {}
        later => return Err(StateError::LaterFormat(later)),
    }
    let mut found = connection.prepare("SELECT revision, token, contact, writer FROM state")?;
    let mut rows = found.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let revision = unsigned(row.get(0)?)?;
    let token = row.get::<_, String>(1)?.parse().map_err(damaged)?;
    let contact = unsigned(row.get(2)?)?;
    let same_writer = row.get::<_, String>(3)? == WRITER;
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
            return Err(StateError::Damaged(
                "an organization is not as it was written".to_owned(),
            ));
        }
        organizations.push(serde_json::from_str(&text).map_err(damaged)?);
    }
    Ok(organizations)
}

fn damaged(error: impl std::fmt::Display) -> StateError {
    StateError::Damaged(error.to_string())
}

/// SQLite's numbers have a sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> Result<u64, StateError> {
    u64::try_from(number).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::history::RevisionToken;

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
        }
    }

    fn point(revision: u64) -> HistoryPoint {
        HistoryPoint {
            revision,
            token: RevisionToken::from_random(u128::from(revision)),
        }
    }

    fn entry(revision: u64, all: bool, changed: &[OrganizationBundle]) -> Entry<'_> {
        Entry {
            point: point(revision),
            contact: 1000 + revision,
            all,
            changed: changed.iter().collect(),
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
        for change in [
            "writer = '0.0.0'",
            "token = '00000000000000000000000000000000'",
        ] {
            let directory = tempfile::tempdir().unwrap();
            let file = written(directory.path());
            let connection = file.connection.as_ref().unwrap();
            let sql = format!("UPDATE state SET {change}");
            connection.execute_batch(&sql).unwrap();
            let stored = StateFile::new(directory.path().to_owned()).load();
            let stored = stored.unwrap().unwrap();
            assert_eq!((stored.point, stored.revision), (HistoryPoint::START, 7));
            assert_eq!(stored.organizations.len(), 2);
        }
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
