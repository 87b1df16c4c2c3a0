//! One connection to either database, and the transactions on it.

use std::{sync::Arc, time::Duration};

use tokio::task;

use super::{
    StoreError,
    dialect::Dialect,
    location::Location,
    postgres::{self, Postgres},
    row::FromRow,
    sqlite::{self, Sqlite},
    value::Value,
};

/// How often to look for changes where no notification comes: every gateway waits for it.
const WITHOUT_NOTIFICATIONS: Duration = Duration::from_millis(100);

/// A database of either kind.
#[derive(Clone)]
pub(super) enum Database {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Database {
    pub(super) fn open(location: &Location) -> Result<Self, StoreError> {
        Ok(match location {
            Location::Sqlite(path) => Self::Sqlite(Arc::new(Sqlite::new(Some(path.clone()))?)),
            Location::Memory => Self::Sqlite(Arc::new(Sqlite::new(None)?)),
            Location::Postgres(urls) => {
                let postgres = Postgres::open(&urls.main, urls.listen.as_deref())?;
                Self::Postgres(Arc::new(postgres))
            }
        })
    }

    pub(super) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether the disk can be written again, if the last write failed for want of it; whether the
    /// server takes writes at all, where it is PostgreSQL.
    pub(super) async fn check_writes(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(sqlite) => {
                let sqlite = Arc::clone(sqlite);
                task::spawn_blocking(move || sqlite.check_writes())
                    .await
                    .unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
            }
            Self::Postgres(postgres) => postgres.connection().await?.check_writes().await,
        }
    }

    /// How often to look for changes that no signal announced.
    pub(super) fn reread_every(&self) -> Duration {
        match self {
            Self::Postgres(postgres) if postgres.listening.session.is_pooled() => {
                WITHOUT_NOTIFICATIONS
            }
            other => other.dialect().reread_every(),
        }
    }

    /// A connection for single reads.
    pub(super) async fn reader(&self) -> Result<Connection, StoreError> {
        Ok(Connection::new(match self {
            Self::Sqlite(sqlite) => Driver::Sqlite(sqlite.reader().await?),
            Self::Postgres(postgres) => Driver::Postgres(postgres.connection().await?),
        }))
    }

    /// A transaction whose reads all see the same state.
    pub(super) async fn snapshot(&self) -> Result<Connection, StoreError> {
        let mut connection = self.reader().await?;
        let begin = self.dialect().begin_read();
        match &mut connection.driver {
            Driver::Sqlite(guard) => guard.batch(begin)?,
            Driver::Postgres(guard) => guard.begin(begin).await?,
        }
        Ok(connection)
    }

    /// A transaction that writes. It takes effect when it is committed; dropped, it rolls back.
    pub(super) async fn transaction(&self) -> Result<Connection, StoreError> {
        Ok(Connection::new(match self {
            Self::Sqlite(sqlite) => {
                let mut guard = sqlite.writer().await?;
                guard.begin_write().await?;
                Driver::Sqlite(guard)
            }
            Self::Postgres(postgres) => {
                let mut guard = postgres.connection().await?;
                guard.begin(Dialect::Postgres.begin_write()).await?;
                Driver::Postgres(guard)
            }
        }))
    }
}

enum Driver {
    Sqlite(sqlite::Guard),
    Postgres(postgres::Guard),
}

/// A connection in use. Dropped inside a transaction, it rolls back.
pub(super) struct Connection {
    driver: Driver,
    /// Whether a statement failed: those before it must not be committed without it.
    failed: bool,
}

impl Connection {
    const fn new(driver: Driver) -> Self {
        Self {
            driver,
            failed: false,
        }
    }

    /// Every row.
    pub(super) async fn query<T: FromRow>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let done = match &mut self.driver {
            Driver::Sqlite(guard) => guard.query(sql, values),
            Driver::Postgres(guard) => guard.query(sql, values).await,
        };
        self.failed |= done.is_err();
        done
    }

    /// As [`Self::query`], for a text with too many variants to keep each prepared.
    pub(super) async fn query_once<T: FromRow>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let done = match &mut self.driver {
            Driver::Sqlite(guard) => guard.query(sql, values),
            Driver::Postgres(guard) => guard.query_once(sql, values).await,
        };
        self.failed |= done.is_err();
        done
    }

    /// The first row, if there is one.
    pub(super) async fn find<T: FromRow>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<T>, StoreError> {
        Ok(self.query(sql, values).await?.into_iter().next())
    }

    /// The number in the first column of the only row.
    pub(super) async fn number(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        self.find(sql, values)
            .await?
            .ok_or_else(|| StoreError::Corrupt("a row that always exists is missing".to_owned()))
    }

    /// Runs a statement; answers how many rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let done = match &mut self.driver {
            Driver::Sqlite(guard) => guard.execute(sql, values),
            Driver::Postgres(guard) => guard.execute(sql, values).await,
        };
        self.failed |= done.is_err();
        done
    }

    /// Runs statements without parameters.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let done = match &mut self.driver {
            Driver::Sqlite(guard) => guard.batch(sql),
            Driver::Postgres(guard) => guard.batch(sql).await,
        };
        self.failed |= done.is_err();
        done
    }

    /// Commits with the given text, then runs `then`. On SQLite that happens even if the caller is
    /// cancelled in between; on PostgreSQL the notification reaches this node too.
    pub(super) async fn commit(
        self,
        sql: &'static str,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Internal(
                "a transaction in which a statement failed cannot be committed".to_owned(),
            ));
        }
        match self.driver {
            Driver::Sqlite(mut guard) => task::spawn_blocking(move || {
                guard.commit(sql)?;
                drop(guard);
                then();
                Ok(())
            })
            .await
            .unwrap_or_else(|error| Err(StoreError::Internal(error.to_string()))),
            Driver::Postgres(mut guard) => {
                guard.commit(sql).await?;
                drop(guard);
                then();
                Ok(())
            }
        }
    }
}
