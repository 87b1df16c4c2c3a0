//! Why revocation lists refuse a certificate, in words.

use std::fmt;

use countersign_types::{UnixSeconds, digest::Sha256, id::CertificateId, revoked_set::Revocation};

use crate::time::{TimeAndNow, rfc3339};

/// That a list names a certificate: which list, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    pub(crate) anchor: CertificateId,
    pub(crate) issuer: Sha256,
    pub(crate) issuer_name: String,
    pub(crate) number: Option<String>,
    /// None when the list itself is not at hand.
    pub(crate) revocation: Option<Revocation>,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revocation {
            Some(revocation) => {
                write!(f, "revoked at {}", rfc3339(revocation.at))?;
                if let Some(reason) = revocation.reason_name() {
                    write!(f, " ({reason})")?;
                }
                f.write_str(" by the revocation list")?;
            }
            None => {
                f.write_str("perhaps revoked: this process does not have the revocation list")?
            }
        }
        if let Some(number) = &self.number {
            write!(f, " {number}")?;
        }
        write!(f, " of `{}`, kept for {}", self.issuer_name, self.anchor)
    }
}

/// That there is no current list of a certificate's issuer, and the anchor asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoCurrentList {
    anchor: CertificateId,
    /// When the kept list ended, if there is one.
    ended: Option<TimeAndNow>,
}

impl NoCurrentList {
    pub(crate) fn new(
        anchor: &CertificateId,
        ended: Option<UnixSeconds>,
        now: UnixSeconds,
    ) -> Self {
        Self {
            anchor: anchor.clone(),
            ended: ended.map(|at| TimeAndNow { at, now }),
        }
    }
}

impl fmt::Display for NoCurrentList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ended {
            Some(ended) => write!(f, "its issuer's revocation list ended at {ended}")?,
            None => f.write_str("there is no revocation list of its issuer")?,
        }
        write!(f, ", and {} denies without a current one", self.anchor)
    }
}
