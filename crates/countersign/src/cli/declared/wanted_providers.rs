//! The workload identity providers and federation rules that a file declares.

use std::collections::BTreeMap;

use countersign_types::{
    certificate::MAX_NAME_CHARACTERS,
    federation_rule::{MAX_MATCHERS, MAX_SCOPES, MatcherValue, wrong_matcher, wrong_scope},
    id::WorkloadIdentityProviderId,
    workload_identity_provider::{
        MAX_DESCRIPTION_CHARACTERS, MAX_TRANSFORMATIONS, SUBJECT_ATTRIBUTE, wrong_attribute,
    },
};
use countersign_verify::policy::{Condition, Transformation};
use toml::de::{DeTable, DeValue};

use super::{
    number::number,
    reader::{Key, Reader, Value, entry},
};
use crate::failure::CommandResult;

/// The section.
pub(super) const SECTION: &str = "workload_identity_providers";

/// A provider of the file, with its rules.
pub(super) struct WantedProvider {
    /// Its key in the file: its name, or the id of one that the server has.
    pub(super) key: String,
    /// The line where it is declared, `trust.toml:9`.
    pub(super) line: String,
    /// Its name; none if the key is an id and the name stays as it is.
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) enabled: bool,
    /// The attributes that it computes, with their CEL.
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) condition: Option<String>,
    pub(super) rules: Vec<WantedRule>,
}

/// A federation rule of the file.
pub(super) struct WantedRule {
    /// The line where it is declared.
    pub(super) line: String,
    pub(super) name: Option<String>,
    /// The project, by id or by name.
    pub(super) project: String,
    /// The service account, by id or by name.
    pub(super) service_account: String,
    pub(super) matchers: BTreeMap<String, MatcherValue>,
    pub(super) description: Option<String>,
    pub(super) enabled: bool,
    /// The scopes of its tokens; none means what the account's keys may do.
    pub(super) scopes: Option<Vec<String>>,
}

/// Reads the section.
pub(super) fn read(reader: &Reader<'_>, table: &DeTable<'_>) -> CommandResult<Vec<WantedProvider>> {
    table
        .iter()
        .map(|(name, value)| provider(reader, name, value))
        .collect()
}

fn provider(
    reader: &Reader<'_>,
    name: &Key<'_>,
    value: &Value<'_>,
) -> CommandResult<WantedProvider> {
    let (key, start) = (name.get_ref().to_string(), name.span().start);
    let path = format!("{SECTION}.{key}");
    let table = reader.table(&path, name, value)?;
    let known = ["name", "description", "enabled", "attributes", "rules"];
    let condition = ["condition", "condition_file"];
    reader.known(table, &path, &[&known[..], &condition].concat())?;
    let is_id = key.parse::<WorkloadIdentityProviderId>().is_ok();
    let name = match reader.name(table, &path)? {
        Some(_) if !is_id => {
            let message = format!("`{path}.name`: the section is called as the provider is");
            return Err(reader.wrong(reader.start_of(table, "name"), &message).hint(
                "to rename a provider, call the section by its id, or rename it on the server too",
            ));
        }
        name if is_id => name,
        _ => {
            check_name(reader, start, &key)?;
            Some(key.clone())
        }
    };
    Ok(WantedProvider {
        line: reader.line(start),
        description: description(reader, table, &path)?,
        enabled: enabled(reader, table, &path)?,
        attributes: attributes(reader, table, &path, start)?,
        condition: reader.cel(table, &path, "condition", |text| {
            let compiled = Condition::compile(text).map(drop);
            compiled.map_err(|error| format!("is not a valid condition: {error}"))
        })?,
        rules: rules(reader, table, &path)?,
        key,
        name,
    })
}

fn check_name(reader: &Reader<'_>, start: usize, name: &str) -> CommandResult {
    if (1..=MAX_NAME_CHARACTERS).contains(&name.chars().count())
        && !name.chars().any(char::is_control)
    {
        return Ok(());
    }
    let message = format!(
        "the name of a provider must have 1 to {MAX_NAME_CHARACTERS} characters and no control characters"
    );
    Err(reader.wrong(start, &message))
}

fn description(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
) -> CommandResult<Option<String>> {
    let text = reader.text_of(table, path, "description")?;
    let fits = |text: &String| {
        text.chars().count() <= MAX_DESCRIPTION_CHARACTERS && !text.chars().any(char::is_control)
    };
    if text.as_ref().is_none_or(fits) {
        return Ok(text);
    }
    let message = format!(
        "`{path}.description` must have at most {MAX_DESCRIPTION_CHARACTERS} characters and no control characters"
    );
    Err(reader.wrong(reader.start_of(table, "description"), &message))
}

/// It is in use unless the file says otherwise.
fn enabled(reader: &Reader<'_>, table: &DeTable<'_>, path: &str) -> CommandResult<bool> {
    Ok(entry(table, "enabled").is_none() || reader.truth_of(table, path, "enabled")?)
}

fn attributes(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    start: usize,
) -> CommandResult<BTreeMap<String, String>> {
    let within = format!("{path}.");
    let section = reader.section(table, "attributes", &within)?;
    let path = format!("{path}.attributes");
    let mut all = BTreeMap::new();
    for (name, value) in section.into_iter().flatten() {
        let (attribute, start) = (name.get_ref().to_string(), name.span().start);
        if let Some(why) = wrong_attribute(&attribute) {
            let message = format!("`{path}`: `{attribute}` {why}");
            return Err(reader.wrong(start, &message).hint(format!(
                "write a name with a dot in quotation marks: `\"{SUBJECT_ATTRIBUTE}\" = ..`"
            )));
        }
        let DeValue::String(expression) = value.get_ref() else {
            let message = format!("`{path}.\"{attribute}\"` must be a string that holds CEL");
            return Err(reader.wrong(start, &message));
        };
        if let Err(error) = Transformation::compile(expression) {
            let message = format!("`{path}.\"{attribute}\"` is not valid CEL: {error}");
            return Err(reader.wrong(start, &message));
        }
        all.insert(attribute, expression.to_string());
    }
    if all.len() > MAX_TRANSFORMATIONS {
        let message = format!("`{path}` has more than {MAX_TRANSFORMATIONS} attributes");
        return Err(reader.wrong(start, &message));
    }
    if all.contains_key(SUBJECT_ATTRIBUTE) {
        return Ok(all);
    }
    let message =
        format!("`{path}` lacks `{SUBJECT_ATTRIBUTE}`, the attribute that says who a workload is");
    let example = format!("\"{SUBJECT_ATTRIBUTE}\" = \"assertion.subject.common_name\"");
    Err(reader
        .wrong(start, &message)
        .hint(format!("add it: `{example}`")))
}

fn rules(reader: &Reader<'_>, table: &DeTable<'_>, path: &str) -> CommandResult<Vec<WantedRule>> {
    let Some((name, value)) = entry(table, "rules") else {
        return Ok(Vec::new());
    };
    let wrong = |start| {
        let message = format!("`{path}.rules` is a list of sections");
        let failure = reader.wrong(start, &message);
        failure.hint(format!(
            "write `[[{path}.rules]]` on its own line before each"
        ))
    };
    let DeValue::Array(items) = value.get_ref() else {
        return Err(wrong(name.span().start));
    };
    let mut all: Vec<WantedRule> = Vec::new();
    for item in items.iter() {
        let start = item.span().start;
        let DeValue::Table(table) = item.get_ref() else {
            return Err(wrong(start));
        };
        let path = format!("{path}.rules[{}]", all.len());
        all.push(rule(reader, table, &path, start)?);
    }
    Ok(all)
}

fn rule(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    start: usize,
) -> CommandResult<WantedRule> {
    let whose = ["project", "service_account", "match", "scopes"];
    let known = ["name", "description", "enabled"];
    reader.known(table, path, &[&whose[..], &known].concat())?;
    let needed = |key: &str, example: &str| {
        let text = reader.text_of(table, path, key)?;
        text.ok_or_else(|| {
            let failure = reader.wrong(start, &format!("`{path}` has no `{key}`"));
            failure.hint(format!("add it: `{example}`"))
        })
    };
    Ok(WantedRule {
        line: reader.line(start),
        name: reader.name(table, path)?,
        project: needed("project", "project = \"payments\"")?,
        service_account: needed("service_account", "service_account = \"billing\"")?,
        matchers: matchers(reader, table, path, start)?,
        description: description(reader, table, path)?,
        enabled: enabled(reader, table, path)?,
        scopes: scopes(reader, table, path)?,
    })
}

fn matchers(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
    start: usize,
) -> CommandResult<BTreeMap<String, MatcherValue>> {
    let section = reader.section(table, "match", &format!("{path}."))?;
    let path = format!("{path}.match");
    let mut all = BTreeMap::new();
    for (name, value) in section.into_iter().flatten() {
        let (attribute, start) = (name.get_ref().to_string(), name.span().start);
        let wrong = |why: &str| {
            let message = format!("`{path}`: `{attribute}` {why}");
            Err(reader.wrong(start, &message))
        };
        if let Some(why) = wrong_attribute(&attribute) {
            return wrong(&why);
        }
        let matcher = match value.get_ref() {
            DeValue::String(text) => match wrong_matcher(text) {
                Some(why) => return wrong(&why),
                None => MatcherValue::Text(text.to_string()),
            },
            DeValue::Boolean(truth) => MatcherValue::Bool(*truth),
            other => match number(other) {
                Some(number) => MatcherValue::Number(number),
                None => return wrong("must be a string, a number, `true` or `false`"),
            },
        };
        all.insert(attribute, matcher);
    }
    if (1..=MAX_MATCHERS).contains(&all.len()) {
        return Ok(all);
    }
    let message = format!(
        "`{path}` has {} attributes: give 1 to {MAX_MATCHERS}",
        all.len()
    );
    let example = format!("match = {{ \"{SUBJECT_ATTRIBUTE}\" = \"worker-*\" }}");
    let failure = reader.wrong(start, &message);
    Err(failure.hint(format!("for example `{example}`")))
}

fn scopes(
    reader: &Reader<'_>,
    table: &DeTable<'_>,
    path: &str,
) -> CommandResult<Option<Vec<String>>> {
    let Some((name, value)) = entry(table, "scopes") else {
        return Ok(None);
    };
    let wrong = |start: usize, why: &str| {
        Err(reader
            .wrong(start, &format!("`{path}.scopes` {why}"))
            .hint("without `scopes`, its tokens may do what the keys of the service account may"))
    };
    let start = name.span().start;
    let DeValue::Array(items) = value.get_ref() else {
        return wrong(start, "must be a list of strings");
    };
    let mut all: Vec<String> = Vec::new();
    for item in items.iter() {
        let start = item.span().start;
        let DeValue::String(scope) = item.get_ref() else {
            return wrong(start, "must be a list of strings");
        };
        if let Some(why) = wrong_scope(scope) {
            return wrong(start, &format!("has one that {why}"));
        }
        if all.iter().any(|other| other == scope) {
            return wrong(start, &format!("has `{scope}` twice"));
        }
        all.push(scope.to_string());
    }
    if (1..=MAX_SCOPES).contains(&all.len()) {
        return Ok(Some(all));
    }
    wrong(
        start,
        &format!("has {} entries: give 1 to {MAX_SCOPES}", all.len()),
    )
}
