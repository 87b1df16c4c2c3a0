//! What can be wrong with TLS files.

use std::{io, path::PathBuf};

/// Why TLS files cannot be used. Every text is one line that names the file; none repeats what
/// the file holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read at all.
    #[error("cannot read `{}`: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A PEM block is cut short or is not base 64.
    #[error("`{}` is not well-formed PEM", file.display())]
    BrokenPem {
        /// The file.
        file: PathBuf,
    },
    /// There is no certificate block.
    #[error("`{}` holds no certificate in PEM", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no private key block.
    #[error("`{}` holds no private key in PEM", file.display())]
    NoPrivateKey {
        /// The file.
        file: PathBuf,
    },
    /// The private key needs a passphrase, and there is nobody to ask.
    #[error("`{}` is encrypted: decrypt the key first", file.display())]
    EncryptedKey {
        /// The file.
        file: PathBuf,
    },
    /// A certificate cannot serve as a root.
    #[error("`{}` holds no usable root: {source}", file.display())]
    Root {
        /// The file.
        file: PathBuf,
        /// What is wrong with the certificate.
        source: rustls::Error,
    },
    /// Certificate and key do not belong together.
    #[error("`{}` is not the key of `{}`", key.display(), certificate.display())]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Certificate and key can be read, and TLS cannot use them.
    #[error("`{}` and its key cannot be used for TLS: {source}", certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The cryptography supports no protocol version.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}
