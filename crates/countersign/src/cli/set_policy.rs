//! `countersign certificate set-policy`: the condition that client certificates under a trust anchor must
//! satisfy, enforced or, with `--report`, only reported.

use clap::{ArgGroup, Args};
use countersign_client::Client;
use countersign_types::{certificate::Enforcement, id::CertificateId, preview::TrustChange};

use super::{
    guard::{Ask, Guard},
    policy_text::PolicyText,
    reference::Reference,
    waiting::Wait,
};
use crate::{failure::CommandResult, output::Output};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("to").args(["policy", "policy_file", "none"]).required(true)))]
pub(crate) struct SetPolicy {
    /// The certificate: id or name
    #[arg(value_name = "ID|NAME")]
    id: Reference<CertificateId>,
    #[command(flatten)]
    policy: PolicyText,
    /// Remove the policy
    #[arg(long)]
    none: bool,
    /// Report only: count and log what would be refused under it, and go on enforcing the present policy
    #[arg(long, conflicts_with = "preview")]
    report: bool,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    wait: Wait,
}

impl SetPolicy {
    pub(super) async fn run(self, client: &Client, output: Output) -> CommandResult {
        let named = self.id.to_string();
        let policy = self.policy.read(Some(&named))?;
        let id = self.id.resolve(client).await?;
        // What is only reported refuses nobody.
        if !self.report {
            let change = TrustChange::SetCertificatePolicy {
                certificate_id: id.clone(),
                cel_policy: policy.clone(),
                enforcement: Enforcement::Enforce,
            };
            let question = format!("set the policy of {named}?");
            let asked = (question.as_str(), Ask::IfUsed);
            if !self.guard.before(client, change, asked, output).await? {
                return Ok(());
            }
        }
        let mut waiting = self.wait.begin()?;
        let certificates = self.guard.client(client).certificates();
        let set = async {
            if self.report {
                certificates.report_policy(&id, policy.as_deref()).await
            } else {
                certificates.set_policy(&id, policy.as_deref()).await
            }
        };
        let set = waiting.change(set).await??;
        output.one(&set.value)?;
        waiting.for_gateways(client, set.change()).await
    }
}
