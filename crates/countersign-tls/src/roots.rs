//! The roots that a client trusts.

use std::path::Path;

use rustls::RootCertStore;

use crate::{error::Error, files::certificates};

/// The public certificate authorities, as Mozilla lists them.
#[must_use]
pub fn public_roots() -> RootCertStore {
    RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    }
}

/// The roots in a PEM file, and no others.
///
/// # Errors
/// When the file cannot be read, holds no certificate, or one that cannot be a root.
pub fn roots_from_file(file: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    add_roots(&mut roots, file)?;
    Ok(roots)
}

/// Adds the roots in a PEM file.
///
/// # Errors
/// When the file cannot be read, holds no certificate, or one that cannot be a root.
pub fn add_roots(roots: &mut RootCertStore, file: &Path) -> Result<(), Error> {
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|source| Error::Root {
            file: file.into(),
            source,
        })?;
    }
    Ok(())
}
