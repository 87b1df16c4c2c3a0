//! PostgreSQL: a pool of connections that replaces broken ones.

use std::{
    future::Future,
    io,
    time::{Duration, Instant},
};

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Timeouts,
};
use tokio::{runtime::Handle, sync::watch, time};
use tokio_postgres::{
    NoTls,
    error::Severity,
    types::{ToSql, Type},
};

use super::{
    Outage, StoreError,
    postgres_connect::{PoolConnect, Servers, WAIT_FOR_CONNECTION},
    postgres_session::{LIMITS_OF_TRANSACTION, Session},
    postgres_url::{self, Tls},
    row::{DriverRow, FromRow, Row},
    value::Value,
};

/// The most connections that one node opens, besides the one that listens.
const CONNECTIONS: usize = 16;
/// How long a statement may take, waiting for other writers included.
const WAIT_FOR_STATEMENT: Duration = Duration::from_secs(15);

/// A PostgreSQL database.
pub(super) struct Postgres {
    pool: Pool,
    /// What the pool's connections lead to.
    session: Session,
    /// For the connection that listens, which is not one of the pool's.
    pub(super) listening: Listening,
    /// When a server was last found to say nothing: what was connected before leads nowhere.
    silent: watch::Sender<Instant>,
}

/// Where changes by other nodes are listened for.
pub(super) struct Listening {
    pub(super) servers: Servers,
    pub(super) tls: Tls,
    pub(super) session: Session,
}

impl Listening {
    fn at(url: &str) -> Result<Self, StoreError> {
        let (config, tls) = postgres_url::read(url)?;
        let session = Session::default();
        Ok(Self {
            servers: Servers::new(config, session.clone()),
            tls,
            session,
        })
    }
}

impl Postgres {
    pub(super) fn open(url: &str, listen: Option<&str>) -> Result<Self, StoreError> {
        let (config, tls) = postgres_url::read(url)?;
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let session = Session::default();
        let servers = Servers::new(config.clone(), session.clone());
        let manager = match tls {
            Tls::Plain => {
                let tls = NoTls;
                Manager::from_connect(config, PoolConnect { servers, tls }, recycling)
            }
            Tls::Verified(tls) => {
                Manager::from_connect(config, PoolConnect { servers, tls }, recycling)
            }
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .timeouts(Timeouts {
                wait: Some(WAIT_FOR_CONNECTION),
                create: Some(WAIT_FOR_CONNECTION),
                recycle: Some(WAIT_FOR_CONNECTION),
            })
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Configuration(error.to_string()))?;
        Ok(Self {
            pool,
            session,
            listening: Listening::at(listen.unwrap_or(url))?,
            silent: watch::Sender::new(Instant::now()),
        })
    }

    /// Gives up every connection: the server says nothing any more, though it was asked. A statement
    /// under way fails now, and not when its own time is over; another server may have taken over by then.
    pub(super) fn give_up(&self) {
        self.silent.send_replace(Instant::now());
        self.pool.retain(|_, _| false);
    }

    pub(super) async fn connection(&self) -> Result<Guard, StoreError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => failure(&error).0,
            PoolError::Timeout(_) => {
                StoreError::Unavailable(Outage::Busy, "no connection became free".to_owned())
            }
            other => StoreError::Internal(other.to_string()),
        })?;
        Ok(Guard {
            connected: Object::metrics(&client).created,
            silent: self.silent.subscribe(),
            pooled: self.session.is_pooled(),
            client: Some(client),
            in_transaction: false,
            broken: false,
        })
    }
}

/// A connection in use. Dropped inside a transaction, it rolls back before anyone else gets it.
pub(super) struct Guard {
    /// `None` only while it is dropped.
    client: Option<Object>,
    connected: Instant,
    silent: watch::Receiver<Instant>,
    /// Whether the session is this connection's for a transaction only: nothing may be kept in it.
    pooled: bool,
    in_transaction: bool,
    broken: bool,
}

impl Guard {
    pub(super) async fn begin(&mut self, sql: &str) -> Result<(), StoreError> {
        self.in_transaction = true;
        if self.pooled {
            return self.batch(&format!("{sql}; {LIMITS_OF_TRANSACTION}")).await;
        }
        self.batch(sql).await
    }

    /// Whether the server takes writes: a standby does not.
    pub(super) async fn check_writes(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT count(*) FROM pg_settings \
                   WHERE name = 'transaction_read_only' AND setting = 'on'";
        let read_only: Vec<i64> = self.query(sql, &[]).await?;
        if read_only == [0] {
            return Ok(());
        }
        self.broken = true;
        Err(StoreError::Unavailable(
            Outage::ReadOnly,
            "the server takes no writes".to_owned(),
        ))
    }

    /// The server's limit on a statement is lifted first: where a commit waits for a synchronous
    /// standby, that limit would end the wait with a mere warning, and the commit would seem to be kept.
    /// What takes too long here is not known to be kept.
    pub(super) async fn commit(&mut self, sql: &str) -> Result<(), StoreError> {
        let sql = format!("SET LOCAL statement_timeout = 0; {sql}");
        self.batch(&sql).await?;
        self.in_transaction = false;
        Ok(())
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        let client = self.client()?;
        let done = self.within(client.batch_execute(sql)).await;
        done.map_err(|fault| self.failed(fault))
    }

    pub(super) async fn execute(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let client = self.client()?;
        let done = self
            .within(async {
                if self.pooled {
                    return client.execute_typed(sql, &typed(values)).await;
                }
                let statement = client.prepare_cached(sql).await?;
                client.execute(&statement, &references(values)).await
            })
            .await;
        done.map_err(|fault| self.failed(fault))
    }

    pub(super) async fn query<T: FromRow>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        if self.pooled {
            return self.query_once(sql, values).await;
        }
        let client = self.client()?;
        let done = self
            .within(async {
                let statement = client.prepare_cached(sql).await?;
                client.query(&statement, &references(values)).await
            })
            .await;
        let rows = done.map_err(|fault| self.failed(fault))?;
        read(&rows)
    }

    /// As `query`, without preparing: a connection keeps prepared statements for ever, so a text with
    /// many variants must not be prepared.
    pub(super) async fn query_once<T: FromRow>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<T>, StoreError> {
        let client = self.client()?;
        let done = self.within(client.query_typed(sql, &typed(values))).await;
        let rows = done.map_err(|fault| self.failed(fault))?;
        read(&rows)
    }

    /// Waits for a statement, as long as it may take and the server has not been given up.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        let given_up = async {
            let mut silent = self.silent.clone();
            if silent.wait_for(|at| *at > self.connected).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            done = within(work) => done,
            () = given_up => Err(Fault::TooLong),
        }
    }

    fn client(&self) -> Result<&Object, StoreError> {
        self.client.as_ref().ok_or_else(|| {
            StoreError::Unavailable(Outage::Disconnected, "the connection is gone".to_owned())
        })
    }

    fn failed(&mut self, fault: Fault) -> StoreError {
        let (failure, broken) = match fault {
            Fault::Database(error) => failure(&error),
            Fault::TooLong => (
                StoreError::Unavailable(Outage::Busy, "a statement took too long".to_owned()),
                true,
            ),
        };
        self.broken |= broken;
        failure
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        if self.broken {
            // The others lead to the same server. Found out one by one, each would cost its time limit.
            if let Some(pool) = Object::pool(&client) {
                pool.retain(|_, _| false);
            }
            drop(Object::take(client));
        } else if *self.silent.borrow() > self.connected {
            drop(Object::take(client));
        } else if self.in_transaction {
            roll_back(client);
        }
    }
}

/// Rolls back without waiting for it; the connection goes back to the pool afterwards.
fn roll_back(client: Object) {
    let Ok(runtime) = Handle::try_current() else {
        drop(Object::take(client));
        return;
    };
    runtime.spawn(async move {
        if within(client.batch_execute("ROLLBACK")).await.is_err() {
            drop(Object::take(client));
        }
    });
}

enum Fault {
    Database(tokio_postgres::Error),
    TooLong,
}

async fn within<T>(
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Fault> {
    match time::timeout(WAIT_FOR_STATEMENT, work).await {
        Ok(done) => done.map_err(Fault::Database),
        Err(_) => Err(Fault::TooLong),
    }
}

fn references<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

fn typed<'a>(values: &'a [Value<'_>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    let typed = |value: &'a Value<'_>| (value as &(dyn ToSql + Sync), value.postgres_type());
    values.iter().map(typed).collect()
}

fn read<T: FromRow>(rows: &[tokio_postgres::Row]) -> Result<Vec<T>, StoreError> {
    let rows = rows.iter();
    rows.map(|row| Row::read(DriverRow::Postgres(row)))
        .collect()
}

/// What an error means, and whether the connection is broken.
pub(super) fn failure(error: &tokio_postgres::Error) -> (StoreError, bool) {
    let Some(refusal) = error.as_db_error() else {
        return without_answer(error);
    };
    let code = refusal.code().code();
    // The message only: the detail may quote what was written.
    let text = format!("{} ({code})", refusal.message());
    let fatal = matches!(
        refusal.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    );
    let outage = match (code, code.get(..2).unwrap_or_default()) {
        ("53100", _) => Outage::DiskFull,
        ("25006", _) => Outage::ReadOnly,
        ("57014" | "55P03", _) | (_, "40" | "53") => Outage::Busy,
        (_, "58") => Outage::InputOutput,
        (_, "08" | "57" | "28" | "3D") => Outage::Disconnected,
        _ if fatal => Outage::Disconnected,
        _ => return (StoreError::Internal(text), false),
    };
    // A server that has become read-only is a standby now: a new connection may find the primary.
    let broken = fatal || matches!(outage, Outage::ReadOnly | Outage::Disconnected);
    (StoreError::Unavailable(outage, text), broken)
}

fn without_answer(error: &tokio_postgres::Error) -> (StoreError, bool) {
    let source = std::error::Error::source(error);
    let text = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    let lost = error.is_closed()
        || source.is_none_or(|source| source.downcast_ref::<io::Error>().is_some());
    if lost {
        return (StoreError::Unavailable(Outage::Disconnected, text), true);
    }
    (StoreError::Internal(text), false)
}
