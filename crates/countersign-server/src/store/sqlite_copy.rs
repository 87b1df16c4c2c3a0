//! What is done to the file of a SQLite database as a whole.

use std::{fs::File, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, sqlite::failure};

/// How long to wait for a process that is just opening or closing the database.
const WAIT: Duration = Duration::from_secs(5);

/// Copies a database as it is at one time. The copy must not exist, or be empty.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = open(from)?;
    let name = to
        .to_str()
        .ok_or_else(|| StoreError::Configuration("the file's name is not UTF-8".to_owned()))?;
    let copied = connection.execute("VACUUM INTO $1", [name]);
    copied.map_err(|error| failure(&error))?;
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| StoreError::of_disk(&error))
}

/// Takes what is in the log beside a database into its file, and leaves the file alone, as one that can
/// also be read where nothing can be written. No process may have it open.
pub(super) fn settle(path: &Path) -> Result<(), StoreError> {
    let connection = open(path)?;
    // Leaving the write-ahead log needs the whole database, which nobody else may then have open.
    connection
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .map_err(|error| failure(&error))?;
    let closed = connection.close();
    closed.map_err(|(_, error)| failure(&error))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    // Without the flag that creates it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| failure(&error))?;
    let waits = connection.busy_timeout(WAIT);
    waits.map_err(|error| failure(&error))?;
    Ok(connection)
}
