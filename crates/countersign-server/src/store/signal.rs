//! Wakes readers that wait for a change: at once for one of this process, by PostgreSQL's
//! notification for one of another node, and by a timer for what nobody announces, as a missed
//! notification, a failover or a restored backup. Signals carry no data.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use countersign_types::history::HistoryPoint;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, watch},
    task::JoinSet,
    time,
};
use tokio_postgres::{AsyncMessage, Connection, NoTls, Socket, tls::MakeTlsConnect};

use super::{
    Outage, StoreError,
    connection::Database,
    dialect::CHANNEL,
    history,
    postgres::{Postgres, failure},
    postgres_connect::{Connected, WAIT_FOR_CONNECTION},
    postgres_url::Tls,
};

/// How long to wait before reconnecting, doubled on each failure up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the server is asked whether it is still there: who only listens never finds out.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Wakes whoever waits, unless the point was announced last. A smaller revision wakes too: it is
/// what a restored backup looks like. Two commits at once may be announced in either order, which
/// only wakes readers once more than needed.
pub(super) fn announce(sender: &watch::Sender<HistoryPoint>, point: HistoryPoint) {
    sender.send_if_modified(|announced| {
        let different = *announced != point;
        *announced = point;
        different
    });
}

pub(super) async fn read_point(database: &Database) -> Result<HistoryPoint, StoreError> {
    let mut connection = database.reader().await?;
    history::read(&mut connection).await
}

/// Follows the changes of other processes until the set is dropped.
pub(super) fn follow(database: &Database, sender: &watch::Sender<HistoryPoint>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let wake = Arc::new(Notify::new());
    if let Database::Postgres(postgres) = database {
        tasks.spawn(listen(Arc::clone(postgres), Arc::clone(&wake)));
    }
    tasks.spawn(reread(database.clone(), sender.clone(), wake));
    tasks
}

async fn reread(database: Database, sender: watch::Sender<HistoryPoint>, wake: Arc<Notify>) {
    let mut is_outdated = false;
    loop {
        // Whether it was woken or the time ran out, it reads.
        let _ = time::timeout(database.reread_every(), wake.notified()).await;
        let looked = look(&database, &sender).await;
        let was_outdated = is_outdated;
        is_outdated = matches!(looked, Err(StoreError::TooNew { .. }));
        if is_outdated && !was_outdated {
            tracing::error!(
                "a newer version has brought the database up to date: this process is not ready any more, and \
                 commits nothing; replace it by the newer version"
            );
            // Whoever waits for a change here waits in vain.
            sender.send_modify(|_| {});
        }
    }
}

/// Announces the latest point, whoever made it.
pub(super) async fn look(
    database: &Database,
    sender: &watch::Sender<HistoryPoint>,
) -> Result<(), StoreError> {
    announce(sender, read_point(database).await?);
    Ok(())
}

async fn listen(postgres: Arc<Postgres>, wake: Arc<Notify>) {
    let backoff = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times();
    let mut pauses = backoff.build();
    loop {
        let listened = match &postgres.listening.tls {
            Tls::Plain => listen_once(&postgres, NoTls, &wake).await,
            Tls::Verified(tls) => listen_once(&postgres, tls.clone(), &wake).await,
        };
        if let Err(error) = listened {
            tracing::warn!(
                %error,
                "cannot listen for changes by other nodes; the timer still finds them"
            );
        } else {
            // It had been listening: the next failure is a new one.
            pauses = backoff.build();
        }
        time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// Listens until the connection ends, or the server says nothing any more.
async fn listen_once<T>(postgres: &Postgres, tls: T, wake: &Notify) -> Result<(), StoreError>
where
    T: MakeTlsConnect<Socket> + Clone,
    T::Stream: Unpin,
{
    let listening = &postgres.listening;
    let connecting = time::timeout(WAIT_FOR_CONNECTION, listening.servers.connect(tls)).await;
    let Connected {
        client,
        connection,
        mark,
    } = connecting
        .map_err(|_| silent())?
        .map_err(|error| failure(&error).0)?;
    let subscribe = async {
        within(postgres, listening.session.look(&client, &mark)).await?;
        if listening.session.is_pooled() {
            tracing::warn!(
                "a pooler passes no notifications, so changes by other nodes are looked for ten times \
                 a second; set `database_listen_url` to the server itself"
            );
        } else {
            let listen = format!("LISTEN {CHANNEL}");
            within(postgres, client.batch_execute(&listen)).await?;
        }
        // Nobody here was notified of changes before the subscription.
        wake.notify_one();
        loop {
            time::sleep(ASK_EVERY).await;
            within(postgres, client.batch_execute("")).await?;
        }
    };
    tokio::select! {
        ended = subscribe => ended,
        ended = receive(connection, wake) => ended.map_err(|error| failure(&error).0),
    }
}

/// Passes on notifications until the connection ends.
async fn receive<S, T>(
    mut connection: Connection<S, T>,
    wake: &Notify,
) -> Result<(), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(_) = message? {
            wake.notify_one();
        }
    }
    Ok(())
}

/// Waits for the answer to something that takes no time. Without one, nothing else will be answered.
async fn within(
    postgres: &Postgres,
    asked: impl Future<Output = Result<(), tokio_postgres::Error>>,
) -> Result<(), StoreError> {
    let Ok(answered) = time::timeout(WAIT_FOR_CONNECTION, asked).await else {
        postgres.give_up();
        return Err(silent());
    };
    answered.map_err(|error| failure(&error).0)
}

fn silent() -> StoreError {
    StoreError::Unavailable(Outage::Disconnected, "the server says nothing".to_owned())
}
