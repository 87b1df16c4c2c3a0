//! A configuration that follows its files.

use std::{
    fmt,
    path::PathBuf,
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
    /// When the files were written that were last read, whether they could be used or not.
    modified: Mutex<Vec<Option<SystemTime>>>,
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
        let modified = modified(&files);
        let config = build()?;
        Ok(Self {
            files,
            build: Box::new(build),
            current: Arc::new(ArcSwap::from_pointee(config)),
            modified: Mutex::new(modified),
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
        let mut known = self.modified.lock().unwrap_or_else(PoisonError::into_inner);
        let modified = modified(&self.files);
        if *known == modified {
            return Ok(false);
        }
        *known = modified;
        self.current.store(Arc::new((self.build)()?));
        Ok(true)
    }
}

/// When each file was last written; none while there is no such file.
fn modified(files: &[PathBuf]) -> Vec<Option<SystemTime>> {
    let of_file = |file: &PathBuf| std::fs::metadata(file)?.modified();
    files.iter().map(|file| of_file(file).ok()).collect()
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

        write(&files.key, &second.key_pem(), 2);
        assert!(config.reload_if_changed().unwrap());
        assert!(!Arc::ptr_eq(&before, &config.current()));
    }
}
