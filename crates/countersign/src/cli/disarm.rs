//! Whether a change takes away the last enforced trust anchor, so that every valid key passes without
//! a certificate.

use clap::Args;
use countersign_client::{Client, Error};
use countersign_types::{
    certificate::{Enforcement, Scope},
    id::CertificateId,
};
use futures_util::TryStreamExt;

use super::{api::whole, preview::WOULD_REFUSE, scope::active_as};
use crate::{failure::Failure, output::note};

/// Whether a change may leave nothing enforced.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct AllowDisarm {
    /// Allow a scope that enforces trust anchors now to be left enforcing none; exit code 3 without it
    #[arg(long)]
    allow_disarm: bool,
}

/// A change after which nothing is enforced, or may not be.
pub(super) struct Disarmed {
    /// What is to be known before it is made.
    what: String,
    /// Whether it was allowed before it was asked.
    allowed: bool,
}

impl Disarmed {
    /// Says what is to be known before the change is made.
    pub(super) fn tell(&self) {
        note(&self.what);
    }

    pub(super) const fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The refusal of what was not allowed.
    pub(super) fn refusal(&self, hint: &str) -> Failure {
        let message = "no trust anchor would be enforced any more; nothing was changed";
        Failure::new(message).hint(hint).with_exit(WOULD_REFUSE)
    }
}

impl AllowDisarm {
    /// A change that leaves these scopes without an enforced trust anchor.
    pub(super) fn disarmed(self, scopes: &str, is_organization: bool) -> Disarmed {
        let but = if is_organization {
            ", except in projects that enforce one"
        } else {
            ""
        };
        Disarmed {
            what: format!(
                "{scopes} would enforce no trust anchor: every valid key passes without a certificate{but}"
            ),
            allowed: self.allow_disarm,
        }
    }

    fn unknown(self, why: &str) -> Disarmed {
        Disarmed {
            what: format!("it is unknown whether a trust anchor stays enforced: {why}"),
            allowed: self.allow_disarm,
        }
    }

    /// Looks whether anything stays enforced at a scope when these certificates no longer are.
    pub(super) async fn look(
        self,
        client: &Client,
        (shown, scope): (&str, &Scope),
        gone: &[CertificateId],
    ) -> Result<Option<Disarmed>, Error> {
        match takes_the_last(client, scope, gone).await {
            Ok(false) => Ok(None),
            Ok(true) => Ok(Some(self.disarmed(shown, *scope == Scope::Organization))),
            // What cannot be looked at is not taken for harmless.
            Err(error) if error.status() == Some(403) => {
                Ok(Some(self.unknown("this key may not list certificates")))
            }
            Err(Error::Decode { .. }) => Ok(Some(
                self.unknown("this server's list of certificates cannot be read"),
            )),
            Err(error) => Err(error),
        }
    }
}

async fn takes_the_last(
    client: &Client,
    scope: &Scope,
    gone: &[CertificateId],
) -> Result<bool, Error> {
    if gone.is_empty() {
        return Ok(false);
    }
    let enforced = enforced(client, scope).await?;
    if enforced.is_empty() || enforced.iter().any(|id| !gone.contains(id)) {
        return Ok(false);
    }
    // What the organization enforces holds in its projects too.
    Ok(match scope {
        Scope::Organization => true,
        Scope::Project(_) => {
            let organization = self::enforced(client, &Scope::Organization).await?;
            organization.is_empty()
        }
    })
}

/// What is enforced at a scope.
async fn enforced(client: &Client, scope: &Scope) -> Result<Vec<CertificateId>, Error> {
    let stream = client.certificates().stream(scope, &whole());
    let listed: Vec<_> = stream.try_collect().await?;
    let mut enforced = Vec::new();
    for each in &listed {
        if active_as(client, each)? == Some(Enforcement::Enforce) {
            enforced.push(each.id.clone());
        }
    }
    Ok(enforced)
}
