//! Where the database is.

use std::{fmt, path::PathBuf};

/// Where the database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file, created if it does not exist.
    Sqlite(PathBuf),
    /// A SQLite database in memory, gone with the store.
    Memory,
    /// A PostgreSQL database.
    Postgres(PostgresUrls),
}

/// Where a PostgreSQL database is reached: `postgres://` URLs, where a socket directory goes in
/// `?host=/path`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrls {
    /// For everything that the others are not for.
    pub main: String,
    /// For listening, which needs a session, where `main` leads to a pooler that gives one only for a
    /// transaction.
    pub listen: Option<String>,
    /// A replica, for pages of lists.
    pub replica: Option<String>,
}

impl Location {
    /// A PostgreSQL database with one URL for everything.
    #[must_use]
    pub const fn postgres(main: String) -> Self {
        Self::Postgres(PostgresUrls {
            main,
            listen: None,
            replica: None,
        })
    }
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
