//! The directory of a `dev`, locked for this process, and the files in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    failure::{CommandResult, Doing},
    files::{self, DirectoryLock},
};

/// The directory of a `dev`, locked for this process.
pub(super) struct DevDirectory {
    pub(super) path: PathBuf,
    _lock: DirectoryLock,
    /// Whether it is removed when the process ends.
    temporary: bool,
}

impl DevDirectory {
    /// Locks the directory, and removes the `dev.env` that a killed process left.
    pub(super) fn take(named: Option<&Path>, memory: bool) -> CommandResult<Self> {
        let temporary = memory && named.is_none();
        let path = match named {
            Some(path) => path.to_owned(),
            None if memory => {
                std::env::temp_dir().join(format!("countersign-dev-{}", std::process::id()))
            }
            None => PathBuf::from("countersign-data"),
        };
        let path = files::private_directory(&path)?;
        files::refuse_shared(&path)?;
        let directory = Self {
            _lock: files::lock_directory(&path)?,
            path,
            temporary,
        };
        directory.remove_env()?;
        Ok(directory)
    }

    pub(super) fn env_file(&self) -> PathBuf {
        self.path.join("dev.env")
    }

    pub(super) fn keys_file(&self) -> PathBuf {
        self.path.join("dev-keys.json")
    }

    fn remove_env(&self) -> CommandResult {
        files::remove_if_exists(&self.env_file()).doing("remove the old `dev.env`")
    }

    /// Removes `dev.env`, which must not name a port that nobody listens on any more; a temporary
    /// directory goes as a whole.
    pub(super) fn release(self) -> CommandResult {
        if self.temporary {
            return fs::remove_dir_all(&self.path).doing("remove the temporary directory");
        }
        self.remove_env()
    }
}
