//! Revocation lists from files: for `verify`, which judges without a server, and to be added to a trust anchor.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use countersign_types::{
    UnixSeconds,
    bundle::{BundleRevocation, CrlMissing},
};
use countersign_verify::{
    certificate::Anchor,
    crl::{CrlRejection, MAX_CRL_BYTES, RevocationList, read},
    presented::Presented,
};
use data_encoding::BASE64;

use crate::{
    failure::{CommandResult, Failure},
    file_kind::unreadable,
};

/// The lists to judge by.
#[derive(Debug, Args)]
pub(super) struct ListFiles {
    /// Revocation list of a trust anchor, or of an intermediate in the chain or the same file; may be repeated
    #[arg(long, value_name = "FILE", requires = "anchor")]
    crl: Vec<PathBuf>,
    /// What happens to a certificate of whose issuer there is no current revocation list [default: allow]
    #[arg(
        long,
        value_name = "allow|deny",
        requires = "anchor",
        hide_possible_values = true
    )]
    crl_missing: Option<Missing>,
}

/// As it is written on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Missing {
    Allow,
    Deny,
}

impl From<Missing> for CrlMissing {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Allow => Self::Allow,
            Missing::Deny => Self::Deny,
        }
    }
}

impl ListFiles {
    /// The lists of each anchor, in their order.
    pub(super) fn read(
        &self,
        anchors: &[String],
        presented: &Presented,
        at: UnixSeconds,
    ) -> CommandResult<Vec<Option<BundleRevocation>>> {
        let missing = self.crl_missing.map(CrlMissing::from).unwrap_or_default();
        let used = !self.crl.is_empty() || self.crl_missing.is_some();
        let none = BundleRevocation {
            missing,
            lists: Vec::new(),
        };
        let mut of_anchors = vec![used.then_some(none); anchors.len()];
        let presented = presented.intermediates();
        let presented: String = presented.iter().map(|ca| pem(ca)).collect();
        for path in &self.crl {
            let sent = bytes(path)?;
            let (place, list) = believed(&sent, anchors, &presented, at)
                .map_err(|refused| Failure::new(format_args!("`{}`: {refused}", path.display())))?;
            if let Some(Some(of_anchor)) = of_anchors.get_mut(place) {
                of_anchor.lists.push(list.into_bundle());
            }
        }
        Ok(of_anchors)
    }
}

/// A list, and the place of the first anchor that it is of, itself or through the intermediates.
fn believed(
    sent: &[u8],
    anchors: &[String],
    presented: &str,
    at: UnixSeconds,
) -> Result<(usize, RevocationList), CrlRejection> {
    let mut refused = None;
    for (place, pem) in anchors.iter().enumerate() {
        let Ok(anchor) = Anchor::from_pem(pem) else {
            continue;
        };
        let beside = (!presented.is_empty()).then_some(presented);
        for issuers in [None, beside] {
            match read(sent, &anchor, issuers, at) {
                Ok(list) => return Ok((place, list)),
                Err(rejection) => refused.get_or_insert(rejection),
            };
        }
    }
    Err(refused.unwrap_or_else(|| CrlRejection {
        message: "No trust anchor can be used, so that the list is nobody's.".to_owned(),
    }))
}

/// Reads a file, and no more of one that is too large than shows it.
pub(super) fn bytes(path: &Path) -> CommandResult<Vec<u8>> {
    let most = u64::try_from(MAX_CRL_BYTES).unwrap_or(u64::MAX) * 2;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(most).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(path, &error))?;
    Ok(bytes)
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
