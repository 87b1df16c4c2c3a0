//! TLS of the listener.

use std::sync::Arc;

use countersign_tls::{CertificateFiles, Error, ReloadingServerConfig, server_config, standard};

/// The TLS of a listener with this certificate, which follows its files.
///
/// # Errors
/// When the files cannot be used.
pub fn listener_tls(files: CertificateFiles) -> Result<Arc<ReloadingServerConfig>, Error> {
    let both = vec![files.certificate.clone(), files.key.clone()];
    let build = move || {
        let mut config = server_config(standard(), &files, None)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        Ok(config)
    };
    ReloadingServerConfig::load(both, build).map(Arc::new)
}
