//! A gateway's data directory: it belongs to one process at a time, and holds the gateway's id.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
};

use countersign_types::id::GatewayId;

use super::start_error::StartError;

/// Holds the id, and is what the directory is locked by.
const FILE: &str = "gateway-id";

/// A data directory in use.
#[derive(Debug)]
pub(super) struct DataDir {
    /// The id that was drawn at the first start.
    pub(super) id: GatewayId,
    /// The lock: the directory is in use until it is dropped.
    pub(super) lock: File,
}

impl DataDir {
    /// Makes the directory if need be and takes it. Without an id in it, `random` makes one.
    pub(super) fn take(directory: &Path, random: u128) -> Result<Self, StartError> {
        fs::create_dir_all(directory).map_err(|error| StartError::file(directory, error))?;
        let path = directory.join(FILE);
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| StartError::file(&path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::InUse(directory.to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(StartError::file(&path, error)),
        }
        let mut text = String::new();
        // What is no text is no id either.
        let _ = lock.read_to_string(&mut text);
        let id = text.trim().parse().unwrap_or_else(|_| {
            let id = GatewayId::from_random(random);
            if let Err(error) = write(&mut lock, &id, directory) {
                tracing::warn!(%error, path = %path.display(), "cannot keep this gateway's id: after a restart it will be another gateway");
            }
            id
        });
        Ok(Self { id, lock })
    }
}

fn write(file: &mut File, id: &GatewayId, directory: &Path) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_the_same_gateway_and_nobody_else_gets_in_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let first = DataDir::take(&path, 1).unwrap();
        let refused = DataDir::take(&path, 2).unwrap_err().to_string();
        assert!(
            refused.contains("is in use by another gateway"),
            "{refused}"
        );
        let id = first.id.clone();
        drop(first);
        let again = DataDir::take(&path, 3).unwrap();
        assert_eq!(again.id, id);
        drop(again);

        for torn in [&b""[..], b"gw_", b"\xff\xfe", b"gw_a\0b"] {
            fs::write(path.join(FILE), torn).unwrap();
            let healed = DataDir::take(&path, 4).unwrap();
            assert_eq!(healed.id, GatewayId::from_random(4));
        }
        assert_eq!(
            DataDir::take(&path, 5).unwrap().id,
            GatewayId::from_random(4)
        );
    }
}
