//! How much room the database takes, and how much is left for it.

use std::{fs, path::Path};

use rustix::fs::statvfs;
use tokio::task;

use super::{Store, StoreError, connection::Database};

/// What the database takes, and what is left, in bytes; absent where that is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The database, with what SQLite has not merged into it yet.
    pub taken: Option<u64>,
    /// On its disk. PostgreSQL does not say.
    pub available: Option<u64>,
}

impl Store {
    /// How much room the database takes, and how much is left for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn room(&self) -> Result<Room, StoreError> {
        match &self.inner.database {
            Database::Sqlite(sqlite) => {
                let Some(path) = sqlite.path().map(Path::to_owned) else {
                    return Ok(Room {
                        taken: None,
                        available: None,
                    });
                };
                // A disk may hang.
                let looking = task::spawn_blocking(move || Room {
                    taken: taken(&path),
                    available: path.parent().and_then(available),
                });
                looking
                    .await
                    .map_err(|error| StoreError::Internal(error.to_string()))
            }
            Database::Postgres(_) => {
                let mut connection = self.reader().await?;
                let size = "SELECT pg_database_size(current_database())";
                Ok(Room {
                    taken: Some(connection.number(size, &[]).await?),
                    available: None,
                })
            }
        }
    }
}

fn taken(path: &Path) -> Option<u64> {
    let mut log = path.to_owned().into_os_string();
    log.push("-wal");
    let log = fs::metadata(log).map_or(0, |file| file.len());
    Some(fs::metadata(path).ok()?.len() + log)
}

fn available(directory: &Path) -> Option<u64> {
    let disk = statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Location, Sources};

    #[tokio::test]
    async fn a_file_takes_room_on_its_disk_and_memory_is_not_known() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(directory.path().join("countersign.db"));
        let store = Store::open(&location, Sources::system()).await.unwrap();
        let room = store.room().await.unwrap();
        assert!(room.taken > Some(0) && room.available > Some(0), "{room:?}");
        let store = Store::open(&Location::Memory, Sources::system()).await;
        let room = store.unwrap().room().await.unwrap();
        assert_eq!((room.taken, room.available), (None, None));
    }
}
