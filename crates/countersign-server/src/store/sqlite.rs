//! SQLite: readers that never wait, and one writer. Statements run on the calling thread, since they
//! take microseconds; only the commit, which waits for the disk, runs on another one.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, ErrorCode};
use tokio::{sync::OwnedMutexGuard, time};

use super::{
    Outage, StoreError,
    dialect::Dialect,
    row::{DriverRow, FromRow, Row},
    value::Value,
};

/// How long a write waits for another process that writes. Writes of this process queue instead.
const WAIT_FOR_WRITER: Duration = Duration::from_secs(5);
/// How long a read waits, in its thread: readers wait for nobody but another process that is just
/// opening or closing the database.
const WAIT_TO_READ: Duration = Duration::from_secs(1);
/// How long to wait before trying again while another process writes.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// Idle readers beyond this many are closed. Reads do not pile up: each runs without a pause.
const IDLE_READERS: usize = 16;
/// More statements than there are in this folder.
const CACHED_STATEMENTS: usize = 128;

/// More than a change writes.
const PROBE_BYTES: usize = 128 * 1024;

type Writer = Arc<tokio::sync::Mutex<Option<Connection>>>;

/// A SQLite database.
pub(super) struct Sqlite {
    /// `None` is in memory: then the writer is the only connection.
    path: Option<PathBuf>,
    /// `None` inside after a disk error: the next write reopens it.
    writer: Writer,
    readers: std::sync::Mutex<Vec<Connection>>,
    /// Whether the last write failed for want of a disk.
    in_trouble: AtomicBool,
}

/// The settings of every connection. It caches 64 MiB of pages, and maps the file up to SQLite's own
/// limit: with the defaults, pages of a large database are copied from the file again and again.
/// The price is that a disk error while reading ends the process with a signal. Writes do not use
/// the mapping, so what was acknowledged is still there after a restart.
const SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864; \
     PRAGMA cache_size = -65536; PRAGMA mmap_size = 2147418112;";

impl Sqlite {
    /// A database that connects when it is first used.
    pub(super) fn new(path: Option<PathBuf>) -> Result<Self, StoreError> {
        if let Some(path) = &path {
            make_private(path)?;
        }
        Ok(Self {
            path,
            writer: Writer::default(),
            readers: std::sync::Mutex::default(),
            in_trouble: AtomicBool::new(false),
        })
    }

    /// Its file; none in memory.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// After a write that failed for want of a disk, writes a file beside the database: a statement
    /// could find room in a file that is there while the next real change does not.
    pub(super) fn check_writes(&self) -> Result<(), StoreError> {
        if let (true, Some(path)) = (self.in_trouble.load(Ordering::Relaxed), &self.path) {
            let probe = path.with_extension("probe");
            let written = fs::write(&probe, vec![0; PROBE_BYTES]);
            let removed = fs::remove_file(&probe);
            written
                .and(removed)
                .map_err(|error| StoreError::of_disk(&error))?;
            self.in_trouble.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    fn connect(&self, wait: Duration) -> Result<Connection, StoreError> {
        let opened = match &self.path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        };
        let connection = opened.map_err(|error| failure(&error))?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        connection
            .busy_timeout(wait)
            .and_then(|()| connection.execute_batch(SETTINGS))
            .map_err(|error| failure(&error))?;
        Ok(connection)
    }

    /// A connection to read with.
    pub(super) async fn reader(self: &Arc<Self>) -> Result<Guard, StoreError> {
        if self.path.is_none() {
            return self.writer().await;
        }
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => retry_while_busy(|| self.connect(WAIT_TO_READ)).await?,
        };
        Ok(Guard {
            held: Held::Reader(Some(connection), Arc::clone(self)),
            broken: false,
        })
    }

    /// The connection to write with, once all earlier writes of this process are over.
    pub(super) async fn writer(self: &Arc<Self>) -> Result<Guard, StoreError> {
        let mut slot = Arc::clone(&self.writer).lock_owned().await;
        if slot.is_none() {
            *slot = Some(retry_while_busy(|| self.connect(Duration::ZERO)).await?);
        }
        Ok(Guard {
            held: Held::Writer(slot, Arc::clone(self)),
            broken: false,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries again while another process holds the database.
async fn retry_while_busy<T>(
    mut attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let deadline = time::Instant::now() + WAIT_FOR_WRITER;
    loop {
        match attempt() {
            Err(StoreError::Unavailable(Outage::Busy, _)) if time::Instant::now() < deadline => {
                time::sleep(LOOK_AGAIN).await;
            }
            other => return other,
        }
    }
}

/// Creates the file for its owner only, before SQLite would create it readable by others.
fn make_private(path: &PathBuf) -> Result<(), StoreError> {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(|_| ())
        .map_err(|error| {
            StoreError::Configuration(format!("cannot open `{}`: {error}", path.display()))
        })
}

enum Held {
    Reader(Option<Connection>, Arc<Sqlite>),
    Writer(OwnedMutexGuard<Option<Connection>>, Arc<Sqlite>),
}

/// A connection in use. Dropped inside a transaction, it rolls back.
pub(super) struct Guard {
    held: Held,
    broken: bool,
}

impl Guard {
    fn connection(&self) -> Result<&Connection, StoreError> {
        let slot = match &self.held {
            Held::Reader(slot, _) => slot,
            Held::Writer(slot, _) => &**slot,
        };
        slot.as_ref().ok_or_else(busy)
    }

    pub(super) async fn begin_write(&mut self) -> Result<(), StoreError> {
        retry_while_busy(|| self.batch(Dialect::Sqlite.begin_write())).await
    }

    pub(super) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let done = self.connection()?.execute_batch(sql);
        done.map_err(|error| self.failed(&error))
    }

    /// Commits; a commit that succeeds shows that the disk can be written again.
    pub(super) fn commit(&mut self, sql: &str) -> Result<(), StoreError> {
        self.batch(sql)?;
        if let Held::Writer(_, home) = &self.held {
            home.in_trouble.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let done = execute(self.connection()?, sql, values);
        let changed = done.map_err(|error| self.failed(&error))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    pub(super) fn query<T: FromRow>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let done = query(self.connection()?, sql, values);
        done.unwrap_or_else(|error| Err(self.failed(&error)))
    }

    /// After an error of the disk or the file, a new connection finds out whether it is over.
    fn failed(&mut self, error: &rusqlite::Error) -> StoreError {
        let failure = failure(error);
        let of_disk = matches!(
            failure,
            StoreError::Unavailable(Outage::DiskFull | Outage::ReadOnly | Outage::InputOutput, _)
        );
        self.broken |= of_disk;
        if let (true, Held::Writer(_, home)) = (of_disk, &self.held) {
            home.in_trouble.store(true, Ordering::Relaxed);
        }
        failure
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let in_transaction = self
            .connection()
            .is_ok_and(|connection| !connection.is_autocommit());
        if in_transaction && self.batch("ROLLBACK").is_err() {
            self.broken = true;
        }
        match &mut self.held {
            Held::Reader(slot, home) => {
                let mut idle = home.idle();
                if !self.broken && idle.len() < IDLE_READERS {
                    idle.extend(slot.take());
                }
            }
            // Closing one in memory would lose everything.
            Held::Writer(slot, home) => {
                if self.broken && home.path.is_some() {
                    slot.take();
                }
            }
        }
    }
}

fn execute(connection: &Connection, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    statement.raw_execute()
}

/// The outer error is the database's, the inner one that of a row that cannot be read.
fn query<T: FromRow>(
    connection: &Connection,
    sql: &str,
    values: &[Value<'_>],
) -> rusqlite::Result<Result<Vec<T>, StoreError>> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        match Row::read(DriverRow::Sqlite(row)) {
            Ok(value) => out.push(value),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(out))
}

/// SQLite numbers each `$n` by where it first occurs in the text, so each is bound by its name.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for index in 1..=statement.parameter_count() {
        let value = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok())
            .and_then(|number| values.get(number.checked_sub(1)?))
            .ok_or(rusqlite::Error::InvalidParameterCount(index, values.len()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

fn busy() -> StoreError {
    StoreError::Unavailable(Outage::Busy, "the connection is in use".to_owned())
}

pub(super) fn failure(error: &rusqlite::Error) -> StoreError {
    let text = error.to_string();
    let outage = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Outage::DiskFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Outage::ReadOnly,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Outage::Busy,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Outage::InputOutput,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return StoreError::Corrupt(text);
        }
        _ => return StoreError::Internal(text),
    };
    StoreError::Unavailable(outage, text)
}
