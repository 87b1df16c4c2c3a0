//! What can be wrong with how a certificate was sent.

use rustls_pki_types::CertificateDer;

/// Why there is no chain to judge. The client is told that its certificate cannot be used, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a header in which certificates come, but which is not read here: `{0}`")]
    OtherHeader(&'static str),
    #[error("the certificate comes more than once")]
    Repeated,
    #[error("the certificate is not in the form that is read here: {0}")]
    WrongForm(&'static str),
    #[error("the chain is larger than is read")]
    TooLarge,
}

impl Fault {
    /// As it stands in metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OtherHeader(_) => "other_header",
            Self::Repeated => "repeated",
            Self::WrongForm(_) => "wrong_form",
            Self::TooLarge => "too_large",
        }
    }
}

/// The one certificate of a form that carries the leaf alone.
pub(super) fn one(
    chain: Vec<CertificateDer<'static>>,
) -> Result<Vec<CertificateDer<'static>>, Fault> {
    if chain.len() == 1 {
        return Ok(chain);
    }
    Err(Fault::WrongForm("it is more than one certificate"))
}
