//! Sockets to accept connections on: bound here, or passed by whoever started the process.

use std::net::{SocketAddr, TcpListener as StdListener};

use super::start_error::StartError;
use crate::accepting::listener;

/// Listening sockets that were passed. What there is none for is bound as the configuration says.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Where clients connect, instead of `listen`. The threads share them.
    pub clients: Vec<StdListener>,
    /// Where the operator does, instead of `admin_listen`.
    pub admin: Option<StdListener>,
}

impl Sockets {
    /// A listener for each thread, and where clients connect.
    pub(super) fn listeners(
        clients: Vec<StdListener>,
        address: SocketAddr,
        threads: usize,
    ) -> Result<(Vec<StdListener>, SocketAddr), StartError> {
        let (all, address) = Self::unprepared(clients, address, threads)?;
        all.iter().try_for_each(listener::prepare)?;
        Ok((all, address))
    }

    fn unprepared(
        clients: Vec<StdListener>,
        address: SocketAddr,
        threads: usize,
    ) -> Result<(Vec<StdListener>, SocketAddr), StartError> {
        let Some(first) = clients.first() else {
            return bind_all(address, threads);
        };
        let address = first.local_addr()?;
        let count = clients.len();
        if count > threads {
            return Err(StartError::Options(format!(
                "{count} listening sockets were passed, more than threads serve ({threads}): on some of them nobody would accept"
            )));
        }
        let mut all = Vec::with_capacity(threads);
        for socket in clients.iter().cycle().take(threads) {
            socket.set_nonblocking(true)?;
            // The same socket, so that it is the kernel that says which thread gets a connection.
            all.push(socket.try_clone()?);
        }
        Ok((all, address))
    }

    /// The admin listener, and where it is, if there is one.
    pub(super) fn admin(
        passed: Option<StdListener>,
        address: Option<SocketAddr>,
    ) -> Result<Option<(StdListener, SocketAddr)>, StartError> {
        let passed = match (passed, address) {
            (None, None) => return Ok(None),
            (Some(passed), _) => passed,
            // Not shared with any other process, as the clients' is among the threads of this one.
            (None, Some(address)) => {
                StdListener::bind(address).map_err(|error| StartError::Listen { address, error })?
            }
        };
        passed.set_nonblocking(true)?;
        let address = passed.local_addr()?;
        Ok(Some((passed, address)))
    }
}

/// One listener for each thread, all on one port, which the first may pick: the kernel spreads connections
/// over them.
fn bind_all(
    address: SocketAddr,
    count: usize,
) -> Result<(Vec<StdListener>, SocketAddr), StartError> {
    // Bound once without SO_REUSEPORT: another process that listens there with it would otherwise
    // get part of the traffic unnoticed.
    if address.port() != 0 {
        drop(StdListener::bind(address).map_err(|error| StartError::Listen { address, error })?);
    }
    let (first, address) = bound(address)?;
    let mut all = vec![first];
    for _ in 1..count {
        all.push(bind(address)?);
    }
    Ok((all, address))
}

fn bind(address: SocketAddr) -> Result<StdListener, StartError> {
    listener::bind(address).map_err(|error| StartError::Listen { address, error })
}

/// A listener, and where it is.
fn bound(address: SocketAddr) -> Result<(StdListener, SocketAddr), StartError> {
    let listener = bind(address)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
