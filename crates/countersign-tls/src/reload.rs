//! A configuration that follows its files.

#[cfg(unix)]
use std::os::unix::fs::MetadataExt as _;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{ClientConfig, ServerConfig};

use crate::error::Error;

type Build<C> = dyn Fn() -> Result<C, Error> + Send + Sync;

/// A server configuration that is built again when its certificate or key changes on disk.
pub type ReloadingServerConfig = Reloading<ServerConfig>;

/// A client configuration that is built again when its roots, certificate or key change on disk.
pub type ReloadingClientConfig = Reloading<ClientConfig>;

/// A configuration that is built again when one of its files changes.
pub struct Reloading<C> {
    files: Vec<PathBuf>,
    build: Box<Build<C>>,
    current: Arc<ArcSwap<C>>,
    last: Mutex<LastRead>,
}

/// What was last read.
#[derive(Debug)]
struct LastRead {
    /// The files as they were, whether they could be used or not.
    files: Vec<Option<Stamp>>,
    /// Why they could not be used.
    trouble: Option<String>,
}

/// What is another after a file was written, replaced, or given to somebody else. The time of writing
/// alone is not: copies keep it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            #[cfg(unix)]
            inode: metadata.ino(),
            #[cfg(unix)]
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl<C> fmt::Debug for Reloading<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl<C> Reloading<C> {
    /// Builds the first configuration, of these files.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn load(
        files: Vec<PathBuf>,
        build: impl Fn() -> Result<C, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        // Looked at before they are read: a change in between is then seen the next time.
        let last = LastRead {
            files: stamps(&files),
            trouble: None,
        };
        let config = build()?;
        Ok(Self {
            files,
            build: Box::new(build),
            current: Arc::new(ArcSwap::from_pointee(config)),
            last: Mutex::new(last),
        })
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn current(&self) -> Arc<C> {
        self.current.load_full()
    }

    /// Where the configuration for the next connection always is.
    #[must_use]
    pub fn shared(&self) -> Arc<ArcSwap<C>> {
        Arc::clone(&self.current)
    }

    /// Reads the files again if they changed since they were last read; `true` if there is a new
    /// configuration.
    ///
    /// # Errors
    /// When the changed files cannot be used: perhaps only one of the pair is written so far. The
    /// old configuration stays in use, and the next change is read again.
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let files = stamps(&self.files);
        if last.files == files {
            return Ok(false);
        }
        last.files = files;
        let built = (self.build)();
        last.trouble = built.as_ref().err().map(ToString::to_string);
        self.current.store(Arc::new(built?));
        Ok(true)
    }

    /// Why the files could not be used when they were last read; none if they could.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.trouble.clone()
    }
}

/// Each file as it is; none while there is no such file.
fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::CertificateFiles, provider::standard, server::server_config};
    use countersign_testca::root;
    use std::{
        fs::{self, File},
        time::Duration,
    };

    #[test]
    fn a_changed_pair_is_read_again_and_half_a_pair_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = CertificateFiles {
            certificate: directory.path().join("server.pem"),
            key: directory.path().join("server.key"),
        };
        let ca = root("Root").mint();
        let (first, second) = (ca.leaf("first").mint(), ca.leaf("second").mint());
        // Two writes may fall into one tick of the file system's clock.
        let write = |file, text: &str, second| {
            fs::write(file, text).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_modified(at)
                .unwrap();
        };
        write(&files.certificate, &first.pem(), 1);
        write(&files.key, &first.key_pem(), 1);
        let build = {
            let files = files.clone();
            move || server_config(standard(), &files, None)
        };
        let both = vec![files.certificate.clone(), files.key.clone()];
        let config = ReloadingServerConfig::load(both, build).unwrap();
        let before = config.current();
        assert!(!config.reload_if_changed().unwrap());

        write(&files.certificate, &second.pem(), 2);
        let error = config.reload_if_changed().unwrap_err();
        assert!(matches!(error, Error::KeyMismatch { .. }), "{error}");
        assert!(Arc::ptr_eq(&before, &config.current()));
        assert!(!config.reload_if_changed().unwrap());

        assert!(config.trouble().is_some());

        write(&files.key, &second.key_pem(), 2);
        assert!(config.reload_if_changed().unwrap());
        assert!(!Arc::ptr_eq(&before, &config.current()));
        assert_eq!(config.trouble(), None);

        // A copy may keep the time at which its original was written.
        let third = ca.leaf("third").mint();
        write(&files.certificate, &third.pem(), 2);
        write(&files.key, &third.key_pem(), 2);
        assert!(config.reload_if_changed().unwrap());
    }
}
