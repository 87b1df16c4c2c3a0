//! The client's side of TLS: whom it believes, and which certificate it presents.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, WantsVerifier, crypto::aws_lc_rs,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::Error;

/// Whom the client believes: the public roots, unless a bundle stands in their place, and the
/// roots of these files besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub(crate) instead: Option<PathBuf>,
    pub(crate) besides: Vec<PathBuf>,
}

/// The files of a client certificate (leaf, then intermediates) and of its key.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The TLS configuration of a client that speaks HTTPS.
pub(crate) fn config(trust: &Trust, identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    match &trust.instead {
        Some(bundle) => believe(&mut roots, bundle)?,
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    for file in &trust.besides {
        believe(&mut roots, file)?;
    }
    let builder = builder()?.with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = certificates(&files.certificate)?;
            let key = private_key(&files.key)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(files, &error))?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A configuration that believes no one, for a client that speaks plain HTTP: without one, the
/// HTTP library would load the system's roots.
pub(crate) fn unused() -> Result<ClientConfig, Error> {
    let builder = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(builder.with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Config(format!("cannot set up TLS: {error}")))
}

fn believe(roots: &mut RootCertStore, file: &Path) -> Result<(), Error> {
    for certificate in certificates(file)? {
        let refused = |error| config_error(file, &format!("holds no usable root: {error}"));
        roots.add(certificate).map_err(refused)?;
    }
    Ok(())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(file)?;
    let broken = |_| config_error(file, "is not well-formed PEM");
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(broken)?;
    if found.is_empty() {
        return Err(config_error(file, "holds no certificate in PEM"));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let pem = read(file)?;
    if pem.windows(9).any(|window| window == b"ENCRYPTED") {
        return Err(config_error(file, "is encrypted: decrypt the key first"));
    }
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| config_error(file, "holds no private key in PEM"))
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file)
        .map_err(|error| Error::Config(format!("cannot read `{}`: {error}", file.display())))
}

fn unusable(files: &Identity, error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => config_error(
            &files.key,
            &format!("is not the key of `{}`", files.certificate.display()),
        ),
        other => config_error(
            &files.certificate,
            &format!("cannot be used as client certificate: {other}"),
        ),
    }
}

fn config_error(file: &Path, what: &str) -> Error {
    Error::Config(format!("`{}` {what}", file.display()))
}
