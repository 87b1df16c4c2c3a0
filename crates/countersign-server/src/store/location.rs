//! Where the database is.

use std::{fmt, path::PathBuf};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file, created if it does not exist.
    Sqlite(PathBuf),
    /// A SQLite database in memory, gone with the store.
    Memory,
    /// A `postgres://` URL; a socket directory goes in `?host=/path`.
    Postgres(String),
}

impl fmt::Debug for Location {
    /// Leaves the URL out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Memory => f.write_str("Memory"),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}
