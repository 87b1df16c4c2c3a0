//! Sockets on which proxies ask.

use std::{
    fs,
    io::{self, ErrorKind},
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use crate::options::DecisionAddress;

/// Whoever may write to a directory may put a socket of its own in the place of ours, and be asked.
const ANYONE_WRITES: u32 = 0o002;

/// Who may ask is told by its user, not by the socket's mode.
const MODE: u32 = 0o666;

/// Why a socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotListen {
    #[error("cannot listen: {0}")]
    Io(#[from] io::Error),
    #[error("another process listens there")]
    InUse,
    #[error("there is a file that is no socket")]
    NotASocket,
    #[error(
        "anyone may write to `{0}`, and could take the socket's place\nhint: use a directory of its own: `install -d -m 0755 -o countersign /run/countersign`"
    )]
    OpenDirectory(String),
}

/// A socket on which proxies ask.
#[derive(Debug)]
pub(crate) enum DoorSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl DoorSocket {
    /// A socket, and where it is.
    pub(super) fn bind(address: &DecisionAddress) -> Result<(Self, DecisionAddress), CannotListen> {
        match address {
            DecisionAddress::Tcp(address) => {
                let socket = TcpListener::bind(address)?;
                socket.set_nonblocking(true)?;
                let address = socket.local_addr()?;
                Ok((Self::Tcp(socket), DecisionAddress::Tcp(address)))
            }
            DecisionAddress::Unix(path) => {
                let socket = bind_unix(path)?;
                Ok((Self::Unix(socket), address.clone()))
            }
        }
    }

    /// The same socket, for another thread.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }
}

fn bind_unix(path: &Path) -> Result<UnixListener, CannotListen> {
    let directory = path.parent().unwrap_or(path);
    if fs::metadata(directory)?.permissions().mode() & ANYONE_WRITES != 0 {
        return Err(CannotListen::OpenDirectory(directory.display().to_string()));
    }
    remove_stale(path)?;
    let socket = UnixListener::bind(path)?;
    socket.set_nonblocking(true)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(socket)
}

/// Removes the socket of a process that has ended.
fn remove_stale(path: &Path) -> Result<(), CannotListen> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.file_type().is_socket() {
        return Err(CannotListen::NotASocket);
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Ok(_) => Err(CannotListen::InUse),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &Path) -> Result<DoorSocket, String> {
        let bound = DoorSocket::bind(&DecisionAddress::Unix(path.to_owned()));
        bound
            .map(|(socket, _)| socket)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let first = bind(&path).unwrap();
        assert!(bind(&path).unwrap_err().contains("another process"));
        drop(first);
        drop(bind(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(bind(&path).unwrap_err().contains("no socket"));
    }

    #[test]
    fn a_directory_to_which_anyone_writes_is_refused_also_with_the_sticky_bit() {
        let directory = tempfile::tempdir().unwrap();
        for (mode, allowed) in [
            (0o777, false),
            (0o1777, false),
            (0o755, true),
            (0o770, true),
        ] {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            let bound = bind(&directory.path().join("a.sock"));
            assert_eq!(bound.is_ok(), allowed, "{mode:o}");
            if let Err(error) = bound {
                assert!(error.contains("hint: "), "{error}");
            }
        }
    }
}
