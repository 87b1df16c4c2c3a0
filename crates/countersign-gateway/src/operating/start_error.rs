//! Why a gateway does not start.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("gateway: {0}")]
    Options(String),
    /// The port cannot be bound.
    #[error("gateway: cannot listen on `{address}`: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// Another process has the data directory.
    #[error(
        "gateway: `{}` is in use by another gateway: each needs a `data_dir` of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// A file or directory cannot be opened or made.
    #[error("gateway: cannot use `{}`: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A thread cannot be created.
    #[error("gateway: {0}")]
    Io(#[from] io::Error),
    /// The server certificate cannot be used.
    #[error("gateway: {0}")]
    Tls(#[from] countersign_tls::Error),
    /// The control plane's client cannot be made.
    #[error("gateway: {0}")]
    Client(#[from] countersign_client::Error),
}

impl StartError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }
}
