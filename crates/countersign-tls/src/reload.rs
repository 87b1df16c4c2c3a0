//! A server configuration that follows its files.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use crate::{error::Error, files::CertificateFiles};

type Build = dyn Fn(&CertificateFiles) -> Result<ServerConfig, Error> + Send + Sync;

/// A server configuration that is built again when its certificate or key changes on disk.
pub struct ReloadingServerConfig {
    files: CertificateFiles,
    build: Box<Build>,
    current: ArcSwap<ServerConfig>,
    /// When the files were written that were last read, whether they could be used or not.
    modified: Mutex<[Option<SystemTime>; 2]>,
}

impl fmt::Debug for ReloadingServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadingServerConfig")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl ReloadingServerConfig {
    /// Builds the first configuration.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn load(
        files: CertificateFiles,
        build: impl Fn(&CertificateFiles) -> Result<ServerConfig, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        // Looked at before they are read: a change in between is then seen the next time.
        let modified = files.modified();
        let config = build(&files)?;
        Ok(Self {
            files,
            build: Box::new(build),
            current: ArcSwap::from_pointee(config),
            modified: Mutex::new(modified),
        })
    }

    /// The configuration for the next connection.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again if they changed since they were last read; `true` if there is a new
    /// configuration.
    ///
    /// # Errors
    /// When the changed files cannot be used: perhaps only one of the pair is written so far. The
    /// old configuration stays in use, and the next change is read again.
    pub fn reload_if_changed(&self) -> Result<bool, Error> {
        let mut known = self.modified.lock().unwrap_or_else(PoisonError::into_inner);
        let modified = self.files.modified();
        if *known == modified {
            return Ok(false);
        }
        *known = modified;
        self.current.store(Arc::new((self.build)(&self.files)?));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{provider::standard, server::server_config};
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
        let build = |files: &CertificateFiles| server_config(standard(), files, None);
        let config = ReloadingServerConfig::load(files.clone(), build).unwrap();
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
