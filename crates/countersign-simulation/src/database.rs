//! The control plane's database file: opened by its nodes, copied, and put back to an older point.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use countersign_server::store::{Location, Sources, Store};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const NAME: &str = "control-plane.db";
/// What SQLite keeps beside it.
const BESIDE: [&str; 2] = ["control-plane.db-wal", "control-plane.db-shm"];

/// An empty database with its schema, which every run begins with.
static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();

/// The file.
#[derive(Debug)]
pub(crate) struct DatabaseFile {
    directory: PathBuf,
}

impl DatabaseFile {
    /// A new one, without an organization.
    pub(crate) fn new(directory: &Path, runtime: &Runtime) -> Self {
        let empty = EMPTY.get_or_init(|| empty(runtime));
        let file = Self {
            directory: directory.to_owned(),
        };
        fs::write(file.path(), empty).expect("the database's file");
        file
    }

    fn path(&self) -> PathBuf {
        self.directory.join(NAME)
    }

    pub(crate) fn location(&self) -> Location {
        Location::Sqlite(self.path())
    }

    fn copy_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("backup-{number}.db"))
    }

    /// A copy of what is in it now.
    pub(crate) fn back_up(&self, number: u64) {
        let copy = self.copy_path(number);
        let connection = Connection::open(self.path()).expect("the database");
        let copied = connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]);
        copied.expect("a backup");
    }

    /// Puts a copy in place of it, while nobody has it open.
    pub(crate) fn replace(&self, number: u64) {
        for name in BESIDE {
            match fs::remove_file(self.directory.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
        fs::copy(self.copy_path(number), self.path()).expect("the backup");
    }

    /// Puts back what is in a copy while the control plane runs, as it is for a control plane whose
    /// database fails over.
    pub(crate) fn overwrite(&self, number: u64) {
        let mut connection = Connection::open(self.path()).expect("the database");
        let copy = self.copy_path(number);
        connection
            .pragma_update(None, "foreign_keys", false)
            .expect("tables in any order");
        connection
            .execute("ATTACH ?1 AS copy", [copy.to_string_lossy()])
            .expect("the backup");
        let tables: Vec<String> = {
            let mut found = connection
                .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'")
                .expect("the tables");
            let names = found.query_map([], |row| row.get(0)).expect("the tables");
            names.collect::<Result<_, _>>().expect("their names")
        };
        let transaction = connection.transaction().expect("a transaction");
        for table in tables {
            let sql = format!(
                "DELETE FROM main.\"{table}\"; INSERT INTO main.\"{table}\" SELECT * FROM copy.\"{table}\";"
            );
            transaction.execute_batch(&sql).expect("the copy");
        }
        transaction.commit().expect("the copy");
    }
}

fn empty(runtime: &Runtime) -> Vec<u8> {
    let directory = scratch();
    let path = directory.path().join(NAME);
    let location = Location::Sqlite(path.clone());
    let opening = Store::open_unfollowed(&location, Sources::system());
    let store = runtime.block_on(opening).expect("a database");
    // The last to close it leaves everything in the file.
    drop(store);
    fs::read(path).expect("the database")
}

/// A directory in memory if there is one, since a run writes and syncs all the time.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a directory")
}
