//! `countersign federation-rule test`: what an exchange would do, step by step.

use std::path::PathBuf;

use clap::Args;
use countersign_types::{
    federation_rule::MatcherValue,
    federation_test::{FederationTest, FederationTestRequest},
    id::{ProjectId, ServiceAccountId},
};

use super::{
    chain,
    noun::{ProjectClient, ProviderClient},
    reference::Reference,
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Output, printable},
};

/// The exit code when no token would be issued.
const REFUSED: u8 = 3;

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// PEM file of the workload's chain, leaf first, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// The service account that it names: id, or name with `--project`
    #[arg(long, value_name = "ID|NAME")]
    service_account: Reference<ServiceAccountId>,
    /// The project of the service account: id or name
    #[arg(long, value_name = "ID|NAME")]
    project: Option<Reference<ProjectId>>,
}

impl Test {
    pub(super) async fn run(self, on: &ProviderClient, output: Output) -> CommandResult {
        let request = FederationTestRequest {
            chain: chain::read(&self.chain)?,
            service_account_id: self.account(on).await?,
        };
        let test = on.rules().test(&request).await?.value;
        if output.is_table() {
            output.text(&steps(&test))?;
        } else {
            output.value(&test)?;
        }
        match &test.refused {
            None => Ok(()),
            Some(refused) => {
                let message = format!("no token: {}", printable(&refused.reason));
                Err(Failure::new(message).with_exit(REFUSED))
            }
        }
    }

    async fn account(&self, on: &ProviderClient) -> CommandResult<ServiceAccountId> {
        let Some(project) = &self.project else {
            return self.service_account.to_string().parse().map_err(|_| {
                Failure::usage("a service account is found by its name in a project only")
                    .hint("pass `--project ID|NAME`, or give the account's id")
            });
        };
        let client = on.client.clone();
        let project = project.resolve(&client).await?;
        let of = ProjectClient { client, project };
        self.service_account.resolve(&of).await
    }
}

/// The steps, in lines.
fn steps(test: &FederationTest) -> String {
    let mut lines = vec![format!("leaf       {}", printable(&test.subject))];
    for name in &test.subject_alt_names {
        lines.push(format!("           {}", printable(name)));
    }
    let anchor = test.certificate_id.as_ref();
    lines.push(match anchor {
        Some(anchor) => format!("anchor     {anchor}"),
        None => "anchor     none: the chain is not verified".to_owned(),
    });
    match test.condition_holds {
        Some(true) => lines.push("condition  holds".to_owned()),
        Some(false) => lines.push("condition  does not hold".to_owned()),
        None => {}
    }
    for one in &test.attributes {
        let value = match (&one.value, &one.why_none) {
            (Some(value), _) => shown(value),
            (None, why) => format!("none: {}", why.as_deref().unwrap_or_default()),
        };
        lines.push(format!(
            "attribute  {} = {}",
            one.attribute,
            printable(&value)
        ));
    }
    for rule in &test.rules {
        let name = rule.name.as_deref().unwrap_or(rule.rule_id.as_str());
        let verdict = if rule.matches {
            "matches".to_owned()
        } else {
            format!("does not match: {}", rule.why_not.join("; "))
        };
        lines.push(format!(
            "rule       {} {}",
            printable(name),
            printable(&verdict)
        ));
    }
    if test.issues {
        lines.push("token      would be issued".to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A value as people write it.
pub(super) fn shown(value: &MatcherValue) -> String {
    match value {
        MatcherValue::Text(text) => text.clone(),
        MatcherValue::Bool(value) => value.to_string(),
        MatcherValue::Number(number) => number.to_string(),
    }
}
