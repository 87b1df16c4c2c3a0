//! Whether a change takes away the last enforced trust anchor, so that every valid key passes without
//! a certificate.

use clap::Args;
use countersign_client::{Client, Error};
use countersign_types::{
    certificate::{Enforcement, Scope},
    id::CertificateId,
};
use futures_util::TryStreamExt;

use super::{
    api::whole,
    scope::{AtScope, active_as},
};

/// Whether a change may leave nothing enforced.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct AllowDisarm {
    /// Allow a scope that enforces trust anchors now to be left enforcing none; exit code 3 without it
    #[arg(long, conflicts_with = "preview")]
    allow_disarm: bool,
}

/// A change after which nothing is enforced, or may not be.
pub(super) struct Disarmed {
    /// What is to be known before it is made.
    pub(super) what: String,
    /// Whether it was allowed before it was asked.
    pub(super) allowed: bool,
}

impl AllowDisarm {
    /// Looks whether anything stays enforced when these certificates no longer are.
    pub(super) async fn look(
        self,
        client: &Client,
        (at, scope): (&AtScope, &Scope),
        gone: &[CertificateId],
    ) -> Result<Option<Disarmed>, Error> {
        let what = match takes_the_last(client, scope, gone).await {
            Ok(false) => return Ok(None),
            Ok(true) => {
                let but = match scope {
                    Scope::Organization => ", except in projects that enforce one",
                    Scope::Project(_) => "",
                };
                format!(
                    "{} would enforce no trust anchor: every valid key passes without a certificate{but}",
                    at.shown()
                )
            }
            // What a key may not look at is not taken for harmless.
            Err(error) if error.status() == Some(403) => {
                "it is unknown whether a trust anchor stays enforced: this key may not list certificates"
                    .to_owned()
            }
            Err(error) => return Err(error),
        };
        let allowed = self.allow_disarm;
        Ok(Some(Disarmed { what, allowed }))
    }
}

async fn takes_the_last(
    client: &Client,
    scope: &Scope,
    gone: &[CertificateId],
) -> Result<bool, Error> {
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
