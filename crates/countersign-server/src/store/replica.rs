//! A replica, from which pages of lists are read. It follows the primary a little later, so it is read
//! only while it has every change that this node knows of; otherwise, and when it does not answer, the
//! primary is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign_types::history::HistoryPoint;
use tokio::time;

use super::{
    StoreError,
    connection::{Connection, Database},
    history,
    location::Location,
    postgres::Postgres,
};

/// How long a replica may take to say what it has: a list must not wait for one that is silent.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long one that did not answer is left alone.
const REST: Duration = Duration::from_secs(5);

pub(super) struct Replica {
    database: Database,
    /// Whether it did not answer lately.
    resting: Arc<AtomicBool>,
}

impl Replica {
    /// The replica of a database, if it has one.
    pub(super) fn open(location: &Location) -> Result<Option<Self>, StoreError> {
        let Location::Postgres(urls) = location else {
            return Ok(None);
        };
        let Some(url) = &urls.replica else {
            return Ok(None);
        };
        Ok(Some(Self {
            database: Database::Postgres(Arc::new(Postgres::open(url, None)?)),
            resting: Arc::default(),
        }))
    }

    /// A connection to it, if it has every change up to that point.
    pub(super) async fn with_all_until(&self, known: HistoryPoint) -> Option<Connection> {
        if self.resting.load(Ordering::Relaxed) {
            return None;
        }
        let asked = async {
            // One transaction: through a pooler, each read may be of another server.
            let mut connection = self.database.snapshot().await?;
            let point = history::read(&mut connection).await?;
            let has_all = point == known
                || (point.revision > known.revision
                    && history::contains(&mut connection, known).await?);
            Ok::<_, StoreError>((connection, has_all))
        };
        let (connection, has_all) = match time::timeout(PATIENCE, asked).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => return self.rest(&error.to_string()),
            Err(_) => return self.rest("it says nothing"),
        };
        has_all.then_some(connection)
    }

    /// Leaves it alone for a while.
    fn rest(&self, why: &str) -> Option<Connection> {
        if !self.resting.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "the replica cannot be read; lists are read from the primary"
            );
            let resting = Arc::clone(&self.resting);
            tokio::spawn(async move {
                time::sleep(REST).await;
                resting.store(false, Ordering::Relaxed);
            });
        }
        None
    }
}
