//! Where tools come in: a port, or a Unix socket that only this user can use.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt as _, net::UnixStream as StdUnixStream},
    path::{Path, PathBuf},
};

use rustix::{fs::Mode, process::umask};
use tokio::net::{TcpListener, UnixListener};

/// Why nothing can listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A port.
    #[error("cannot listen on {address}: {source}")]
    Port {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A Unix socket.
    #[error("cannot listen on `{}`: {source}", path.display())]
    Unix {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A listener of the forwarder.
#[derive(Debug)]
pub enum Listener {
    /// A port.
    Port(TcpListener),
    /// A Unix socket, removed when it is dropped.
    Unix(UnixSocket),
}

/// A Unix socket that listens.
#[derive(Debug)]
pub struct UnixSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Whoever comes too late is refused either way.
        let _ = fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Listens on an address; port 0 picks a free one.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn port(address: SocketAddr) -> Result<Self, ListenError> {
        let bound = TcpListener::bind(address).await;
        let bound = bound.map_err(|source| ListenError::Port { address, source })?;
        Ok(Self::Port(bound))
    }

    /// Listens on a Unix socket that only this user can use. One that a dead process left is replaced.
    ///
    /// # Errors
    /// When it cannot.
    pub fn unix(path: &Path) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Unix {
            path: path.to_owned(),
            source,
        };
        remove_stale(path).map_err(failed)?;
        // The mode of the socket, from its first moment. No other thread makes files meanwhile.
        let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        umask(before);
        Ok(Self::Unix(UnixSocket {
            listener: bound.map_err(failed)?,
            path: path.to_owned(),
        }))
    }

    /// The address, if it is a port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Port(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// Removes a socket that nobody listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let is_dead = || {
        let connected = StdUnixStream::connect(path);
        connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if is_socket && is_dead() {
        return fs::remove_file(path);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_unix_socket_is_private_and_replaces_a_dead_one_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("connect.sock");
        let listener = Listener::unix(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert!(Listener::unix(&path).is_err(), "somebody listens there");
        drop(listener);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(Listener::unix(&path).unwrap());
        fs::write(&path, "a file").unwrap();
        assert!(Listener::unix(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
    }
}
