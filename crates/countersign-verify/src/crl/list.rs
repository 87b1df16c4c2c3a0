//! A revocation list that is believed.

use std::{fmt, sync::Arc};

use countersign_types::{
    UnixSeconds, bundle::BundleRevocationList, digest::Sha256, revoked_set::RevokedSet,
};

use super::{
    entries,
    input::{self, Sent},
    issuer::{IssuerDigest, Issuers},
    number::CrlNumber,
    outline::Outline,
    rejection::CrlRejection,
};
use crate::{certificate::Anchor, refusal::CertificateName, time::rfc3339, x509::Certificate};

/// How far the clock of a CA may be ahead of ours, in seconds. A list from the future would keep every
/// later one out until then.
const CLOCK_TOLERANCE: UnixSeconds = 300;

/// A list whose signature verified under its issuer's key, and whose issuer chains to an anchor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    issuer: IssuerDigest,
    issuer_name: String,
    number: Option<CrlNumber>,
    this_update: UnixSeconds,
    next_update: UnixSeconds,
    distribution_point: Option<Sha256>,
    only_user_certificates: bool,
    sha256: Sha256,
    revoked: Arc<RevokedSet>,
}

/// Reads a list: PEM, DER, or DER in base64. `issuers` is the PEM of the CAs between its issuer and the
/// anchor, where the anchor did not sign it itself; without it, those are taken that stand beside the list.
///
/// # Errors
/// What is wrong with it and what to do, in full sentences.
pub fn read(
    sent: &[u8],
    anchor: &Anchor,
    issuers: Option<&str>,
    now: UnixSeconds,
) -> Result<RevocationList, CrlRejection> {
    let Sent { der, beside } = Sent::read(sent)?;
    let outline = Outline::read(&der)?;
    check_dates(&outline, now)?;
    let anchor = Certificate::read(anchor.der())
        .map_err(|what| CrlRejection::malformed(&format!("its anchor: {what}")))?;
    let below = issuers.map(input::issuers).transpose()?.unwrap_or(beside);
    let issuers = Issuers {
        anchor: &anchor,
        below: &below,
        now,
    };
    // Before the entries, so that only a CA makes us read a million of them.
    let issuer = issuers.find(&outline)?;
    let revoked = Arc::new(entries::read(&outline)?);
    Ok(RevocationList {
        issuer,
        issuer_name: CertificateName::new(outline.issuer).to_string(),
        number: outline.extensions.number,
        this_update: outline.this_update,
        next_update: outline.next_update,
        distribution_point: outline.extensions.distribution_point.map(Sha256::of),
        only_user_certificates: outline.extensions.only_user_certificates,
        sha256: Sha256::of(&der),
        revoked,
    })
}

fn check_dates(list: &Outline<'_>, now: UnixSeconds) -> Result<(), CrlRejection> {
    let (from, to) = (list.this_update, list.next_update);
    if to < from {
        return Err(CrlRejection::malformed(
            "its nextUpdate is before its thisUpdate",
        ));
    }
    if now.saturating_add(CLOCK_TOLERANCE) < from {
        return Err(CrlRejection::new(
            format!(
                "The revocation list is of {}, which has not come yet; the clock here says {}.",
                rfc3339(from),
                rfc3339(now)
            ),
            "Check the clocks of the CA and of this server.",
        ));
    }
    if to < now {
        return Err(CrlRejection::new(
            format!(
                "The revocation list expired at {} (its nextUpdate); the clock here says {}.",
                rfc3339(to),
                rfc3339(now)
            ),
            "Send the CA's current list.",
        ));
    }
    Ok(())
}

/// What is remembered of a list that another is to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its number, if it had one.
    pub number: Option<CrlNumber>,
    /// Its thisUpdate.
    pub this_update: UnixSeconds,
    /// The SHA-256 of its issuing distribution point, if it had one.
    pub distribution_point: Option<Sha256>,
}

impl RevocationList {
    /// Whether it may replace an earlier list of its issuer: its number does not go back, and it is not
    /// older.
    ///
    /// # Errors
    /// Which of the two it fails, or that it is another part of what the CA publishes.
    pub fn check_follows(&self, kept: &Kept) -> Result<(), CrlRejection> {
        let remedy = "Send the CA's current list; what is kept stays in force.";
        if self.distribution_point != kept.distribution_point {
            return Err(CrlRejection::new(
                "The revocation list has another issuing distribution point (2.5.29.28) than the kept one, so that \
                 it may list other certificates.",
                "Remove the kept list first if this one replaces it.",
            ));
        }
        match (self.number, kept.number) {
            (Some(number), Some(kept)) if number < kept => {
                return Err(CrlRejection::new(
                    format!(
                        "The revocation list has the number {number}, and the kept one {kept}."
                    ),
                    remedy,
                ));
            }
            (None, Some(kept)) => {
                return Err(CrlRejection::new(
                    format!("The revocation list has no number, and the kept one has {kept}."),
                    remedy,
                ));
            }
            _ => {}
        }
        if self.this_update < kept.this_update {
            return Err(CrlRejection::new(
                format!(
                    "The revocation list is of {}, older than the kept one of {}.",
                    rfc3339(self.this_update),
                    rfc3339(kept.this_update)
                ),
                remedy,
            ));
        }
        Ok(())
    }

    /// What to remember of it.
    #[must_use]
    pub const fn kept(&self) -> Kept {
        Kept {
            number: self.number,
            this_update: self.this_update,
            distribution_point: self.distribution_point,
        }
    }

    /// The CA whose certificates it speaks of.
    #[must_use]
    pub const fn issuer(&self) -> IssuerDigest {
        self.issuer
    }

    /// That CA's name, in the manner of RFC 4514.
    #[must_use]
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// Its number (RFC 5280 section 5.2.3), if it has one.
    #[must_use]
    pub const fn number(&self) -> Option<CrlNumber> {
        self.number
    }

    /// When it was made, in Unix seconds.
    #[must_use]
    pub const fn this_update(&self) -> UnixSeconds {
        self.this_update
    }

    /// The last second at which it is current, in Unix seconds.
    #[must_use]
    pub const fn next_update(&self) -> UnixSeconds {
        self.next_update
    }

    /// Whether it says nothing of CA certificates (`onlyContainsUserCerts`).
    #[must_use]
    pub const fn only_user_certificates(&self) -> bool {
        self.only_user_certificates
    }

    /// The SHA-256 of its DER.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// What it lists.
    #[must_use]
    pub const fn revoked(&self) -> &Arc<RevokedSet> {
        &self.revoked
    }

    /// The list as a bundle has it, with its set.
    #[must_use]
    pub fn into_bundle(self) -> BundleRevocationList {
        BundleRevocationList {
            issuer: self.issuer.sha256(),
            issuer_name: self.issuer_name,
            number: self.number.map(|number| number.to_string()),
            this_update: self.this_update,
            next_update: self.next_update,
            only_user_certificates: self.only_user_certificates,
            revoked: self.revoked.sha256(),
            set: Some(self.revoked),
        }
    }
}

/// Its issuer, number and time.
impl fmt::Display for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of `{}`", self.issuer_name)?;
        if let Some(number) = self.number {
            write!(f, ", number {number}")?;
        }
        write!(f, ", of {}", rfc3339(self.this_update))
    }
}
