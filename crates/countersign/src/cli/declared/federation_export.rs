//! Writes the sections of workload identity providers and their rules.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use countersign_client::Client;
use countersign_types::{
    federation_rule::{FederationRule, MatcherValue},
    id::{ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
};

use super::{
    server::{self, KnownProvider},
    toml_text::{quoted, quoted_key},
    wanted_providers::SECTION,
};
use crate::{
    cli::{directory::names, noun::ProjectClient},
    failure::{CommandResult, Failure},
    output::printable,
};

/// The names of service accounts, to stand beside their ids.
type Accounts = HashMap<ServiceAccountId, String>;

/// The sections of all providers; nothing if there are none.
pub(super) async fn sections(client: &Client) -> CommandResult<String> {
    let known = server::providers(client).await?;
    let mut text = String::new();
    let mut accounts = BTreeMap::new();
    for each in &known {
        text += &provider(each, &known)?;
        for rule in &each.rules {
            let of = &rule.project_id;
            if !accounts.contains_key(of) {
                accounts.insert(of.clone(), account_names(client, of).await);
            }
            text += &rule_section(&section(each, &known), rule, accounts.get(of))?;
        }
    }
    Ok(text)
}

/// The names are for who reads the file: without them, it means the same.
async fn account_names(client: &Client, project: &ProjectId) -> Accounts {
    let on = ProjectClient {
        client: client.clone(),
        project: project.clone(),
    };
    names::<ServiceAccountId>(&on).await.unwrap_or_default()
}

/// The name of a provider's section: the provider's, or its id if another has the same name.
fn section(each: &KnownProvider, all: &[KnownProvider]) -> String {
    let name = &each.provider.name;
    let same = all.iter().filter(|other| other.provider.name == *name);
    // An id in the place of a name would be taken for an id.
    let is_id = name.parse::<WorkloadIdentityProviderId>();
    let key = if same.count() == 1 && is_id.is_err() {
        quoted_key(name)
    } else {
        each.provider.id.to_string()
    };
    format!("{SECTION}.{key}")
}

fn provider(each: &KnownProvider, all: &[KnownProvider]) -> CommandResult<String> {
    let provider = &each.provider;
    if provider.kind.known().is_none() {
        return Err(Failure::new(format_args!(
            "`{}` is a workload identity provider of a type that a file cannot declare",
            provider.id
        )));
    }
    let section = section(each, all);
    let mut text = format!("\n[{section}]\n");
    if section.ends_with(provider.id.as_str()) {
        let _ = writeln!(text, "name = {}", quoted(&provider.name));
    }
    if let Some(description) = &provider.description {
        let _ = writeln!(text, "description = {}", quoted(description));
    }
    if !provider.enabled {
        text += "enabled = false\n";
    }
    if let Some(condition) = &provider.attribute_conditions {
        let _ = writeln!(text, "condition = {}", quoted(condition));
    }
    let _ = writeln!(text, "\n[{section}.attributes]");
    for each in &provider.attribute_transformations {
        let (attribute, expression) = (quoted_key(&each.attribute), quoted(&each.expression));
        let _ = writeln!(text, "{attribute} = {expression}");
    }
    Ok(text)
}

fn rule_section(
    section: &str,
    rule: &FederationRule,
    accounts: Option<&Accounts>,
) -> CommandResult<String> {
    let mut text = format!("\n[[{section}.rules]]\n");
    if let Some(name) = &rule.name {
        let _ = writeln!(text, "name = {}", quoted(name));
    }
    let _ = writeln!(text, "project = {}", quoted(rule.project_id.as_str()));
    let account = &rule.service_account_id;
    let name = accounts.and_then(|all| all.get(account));
    let name = name.map_or_else(String::new, |name| format!(" # {}", printable(name)));
    let _ = writeln!(text, "service_account = {}{name}", quoted(account.as_str()));
    let matchers = rule.attribute_matchers.iter();
    let matchers: Vec<_> = matchers
        .map(|(attribute, value)| format!("{} = {}", quoted_key(attribute), matcher(value)))
        .collect();
    let _ = writeln!(text, "match = {{ {} }}", matchers.join(", "));
    if rule.permissions.kind.known().is_none() {
        return Err(Failure::new(format_args!(
            "`{}` is a federation rule with permissions that a file cannot declare",
            rule.id
        )));
    }
    if let Some(scopes) = &rule.permissions.scopes {
        let scopes: Vec<_> = scopes.iter().map(|scope| quoted(scope)).collect();
        let _ = writeln!(text, "scopes = [{}]", scopes.join(", "));
    }
    if let Some(description) = &rule.description {
        let _ = writeln!(text, "description = {}", quoted(description));
    }
    if !rule.enabled {
        text += "enabled = false\n";
    }
    Ok(text)
}

fn matcher(value: &MatcherValue) -> String {
    match value {
        MatcherValue::Text(text) => quoted(text),
        MatcherValue::Bool(truth) => truth.to_string(),
        MatcherValue::Number(number) => number.to_string(),
    }
}
