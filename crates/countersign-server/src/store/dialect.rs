//! Every difference between the two databases, as text. All other SQL is the same on both.

use std::time::Duration;

/// The channel on which PostgreSQL announces changes. The payload is empty: signals carry no data.
pub(super) const CHANNEL: &str = "countersign_revision";

/// Which SQL the database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Begins a transaction that writes. SQLite takes its only write lock at once, so that no
    /// later statement can find it taken.
    pub(super) const fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// Begins a transaction whose reads all see the same state.
    pub(super) const fn begin_read(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// Commits, and notifies the other nodes where the database can.
    pub(super) const fn commit_and_notify(self) -> &'static str {
        match self {
            Self::Sqlite => "COMMIT",
            Self::Postgres => "SELECT pg_notify('countersign_revision', ''); COMMIT",
        }
    }

    /// Keeps two processes from migrating at once, where beginning a write does not.
    pub(super) const fn lock_schema(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            // An arbitrary number that only Countersign's migrations take.
            Self::Postgres => "SELECT pg_advisory_xact_lock(7210411964821)",
        }
    }

    /// Keeps organizations from being written until the transaction ends, where beginning it does not. Every
    /// write begins with its organization's row.
    pub(super) const fn lock_writes(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "LOCK TABLE organizations IN SHARE ROW EXCLUSIVE MODE",
        }
    }

    /// How often to look for changes that no signal announced: a failover or a restored backup
    /// under a running process sends none. SQLite has no signals between processes at all, and
    /// reading it takes microseconds.
    pub(super) const fn reread_every(self) -> Duration {
        match self {
            Self::Sqlite => Duration::from_millis(500),
            Self::Postgres => Duration::from_secs(1),
        }
    }

    /// A migration's text with this database's words for its types.
    pub(super) fn spell(self, migration: &str) -> String {
        let (sequence, bytes, clustered) = match self {
            Self::Sqlite => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB", "WITHOUT ROWID"),
            Self::Postgres => (
                "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                "BYTEA",
                "",
            ),
        };
        migration
            .replace("{sequence}", sequence)
            .replace("{bytes}", bytes)
            .replace("{clustered}", clustered)
    }
}
