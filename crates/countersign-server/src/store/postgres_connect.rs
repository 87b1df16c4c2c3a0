//! Connecting to PostgreSQL, where a URL may name several servers of which one takes writes. A server
//! that accepts a connection and then says nothing must not use up the time of the others.

use std::{future::Future, pin::Pin, time::Duration};

use deadpool_postgres::Connect;
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::{
    Client, Config, Connection, Error, Socket,
    config::{Host, LoadBalanceHosts},
    tls::{MakeTlsConnect, TlsConnect},
};

use super::postgres_session::{LIMITS, Mark, Session, refuses_options};

/// How long to wait for a connection, whichever server it leads to.
pub(super) const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);

/// The servers of a URL, in the order in which they are tried.
#[derive(Clone)]
pub(super) struct Servers {
    before: Vec<Config>,
    last: Config,
    session: Session,
}

impl Servers {
    pub(super) fn new(config: Config, session: Session) -> Self {
        // What is chosen by lot, or has addresses beside its names, is left to the driver.
        let together = !config.get_hostaddrs().is_empty()
            || config.get_load_balance_hosts() != LoadBalanceHosts::Disable;
        let hosts = config.get_hosts().iter().enumerate();
        let mut each: Vec<_> = hosts.map(|host| rebuilt(&config, &[host], true)).collect();
        let (before, last) = match each.pop() {
            Some(last) if !together => (each, last),
            _ => (Vec::new(), config),
        };
        Self {
            before,
            last,
            session,
        }
    }

    /// A connection to the first server that answers in time and, if the URL says so, takes writes.
    /// Whoever waits for this sets the limit for the last one.
    pub(super) async fn connect<T>(&self, tls: T) -> Result<Connected<T>, Error>
    where
        T: MakeTlsConnect<Socket> + Clone,
    {
        let parts = u32::try_from(self.before.len() + 1).unwrap_or(u32::MAX);
        let limit = WAIT_FOR_CONNECTION / parts;
        for server in &self.before {
            if let Ok(Ok(connected)) = timeout(limit, self.connect_to(server, tls.clone())).await {
                return Ok(connected);
            }
        }
        self.connect_to(&self.last, tls).await
    }

    /// A connection, without options where a pooler refuses them.
    async fn connect_to<T>(&self, server: &Config, tls: T) -> Result<Connected<T>, Error>
    where
        T: MakeTlsConnect<Socket> + Clone,
    {
        let mark = Mark::draw();
        let mut marked = server.clone();
        let options = server.get_options().unwrap_or_default();
        marked.options(format!("{options} {}", mark.option()));
        let connected = marked.connect(tls.clone()).await;
        let (client, connection) = match connected {
            // What the URL itself asks for must not be left out in silence.
            Err(error) if refuses_options(&error) && server.get_options() == Some(LIMITS) => {
                self.session.set_pooled();
                let hosts: Vec<_> = server.get_hosts().iter().enumerate().collect();
                rebuilt(server, &hosts, false).connect(tls).await?
            }
            connected => connected?,
        };
        Ok(Connected {
            client,
            connection,
            mark,
        })
    }
}

/// A new connection, which is not used before its session was looked at.
pub(super) struct Connected<T: MakeTlsConnect<Socket>> {
    pub(super) client: Client,
    pub(super) connection: Connection<Socket, T::Stream>,
    pub(super) mark: Mark,
}

/// The same for some of its hosts, each with its place among them.
fn rebuilt(config: &Config, hosts: &[(usize, &Host)], with_options: bool) -> Config {
    let mut one = Config::new();
    let ports = config.get_ports();
    let addresses = config.get_hostaddrs();
    for (place, host) in hosts {
        match host {
            Host::Tcp(name) => one.host(name),
            Host::Unix(path) => one.host_path(path),
        };
        if let Some(port) = ports.get(*place).or(ports.first()) {
            one.port(*port);
        }
        if let Some(address) = addresses.get(*place) {
            one.hostaddr(*address);
        }
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(database) = config.get_dbname() {
        one.dbname(database);
    }
    if let Some(options) = config.get_options().filter(|_| with_options) {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        one.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        one.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        one.keepalives_retries(retries);
    }
    one.load_balance_hosts(config.get_load_balance_hosts())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs());
    one
}

/// Makes the connections of a pool.
pub(super) struct PoolConnect<T> {
    pub(super) servers: Servers,
    pub(super) tls: T,
}

type Pooled = Result<(Client, JoinHandle<()>), Error>;

impl<T> Connect for PoolConnect<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Pooled> + Send + '_>> {
        Box::pin(async {
            let Connected {
                client,
                connection,
                mark,
            } = self.servers.connect(self.tls.clone()).await?;
            let driving = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(%error, "a connection to the database was lost");
                }
            });
            self.servers.session.look(&client, &mark).await?;
            Ok((client, driving))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_postgres::NoTls;

    use super::*;

    #[test]
    fn each_host_keeps_the_settings_of_all() {
        let url = "postgres://u:p@one:1,two:2/d?target_session_attrs=read-write&connect_timeout=2\
                   &application_name=a&keepalives_idle=7&options=-c%20x%3D1";
        let servers = Servers::new(url.parse().unwrap(), Session::default());
        let config = |url: &str| -> Config { url.parse().unwrap() };
        let [first] = &servers.before[..] else {
            panic!("two hosts");
        };
        assert_eq!(*first, config(&url.replace("one:1,two:2", "one:1")));
        assert_eq!(servers.last, config(&url.replace("one:1,two:2", "two:2")));
        let lot = "postgres://one,two/d?load_balance_hosts=random";
        let lot = Servers::new(config(lot), Session::default());
        assert!(lot.before.is_empty() && lot.last.get_hosts().len() == 2);
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_leaves_time_for_the_next() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (silent, nobody) = (silent.local_addr().unwrap().port(), 1);
        let url = format!("postgres://u@127.0.0.1:{silent},127.0.0.1:{nobody}/d");
        let servers = Servers::new(url.parse().unwrap(), Session::default());
        let tried = timeout(WAIT_FOR_CONNECTION, servers.connect(NoTls)).await;
        let error = tried.expect("in time").err().unwrap();
        assert!(error.to_string().contains("connecting"), "{error}");
    }
}
