//! A preview as people read it: which workloads would be refused or would pass, and how much is known.

use std::collections::BTreeMap;

use countersign_client::Client;
use countersign_types::{
    UnixSeconds,
    assertion::AssertionResult,
    capability::Capability,
    id::ProjectId,
    or_unknown::OrUnknown,
    preview::{Effect, PreviewedWorkload},
    workload::{WorkloadIdentity, WorkloadLeaf},
};
use serde::Serialize;

use super::{
    assertion,
    names::{NamedRow, Names},
};
use crate::{
    failure::{CommandResult, Failure},
    output::{Cell, Output, moment, printable, row, text_or_dash, timestamp},
};

/// The exit code when a workload would be refused.
pub(super) const WOULD_REFUSE: u8 = 3;
/// How many workloads are named before a question.
const MOST_NAMED: usize = 5;

/// What is said of workloads that would be refused.
const REFUSED: &str = "pass now, would be refused";
/// What is said of workloads that would no longer be refused.
const PASSING: &str = "refused now, would pass";

/// Shows a preview; exit code 3 when a workload would be refused or an assertion would not hold.
pub(super) async fn show(
    client: &Client,
    preview: &impl Serialize,
    effect: &Effect,
    once_enforced: &[PreviewedWorkload],
    output: Output,
) -> CommandResult {
    if output.is_table() {
        let names = names(client, effect, once_enforced).await;
        tell(effect, once_enforced, &names, output)?;
    } else {
        output.value(preview)?;
    }
    if effect.starts_to_fail.is_empty() && effect.breaks_assertions.is_empty() {
        return Ok(());
    }
    Err(Failure::quiet(WOULD_REFUSE))
}

/// The names of all whom a preview names.
pub(super) async fn names(
    client: &Client,
    effect: &Effect,
    once_enforced: &[PreviewedWorkload],
) -> Names {
    let lists = [
        &effect.starts_to_fail[..],
        &effect.starts_to_pass,
        once_enforced,
    ];
    let callers = lists.into_iter().flatten().map(|one| {
        let WorkloadIdentity { project, key, .. } = &one.identity;
        (project.as_ref(), key.as_ref())
    });
    let projects = effect.unobserved_projects.iter();
    let asserted = effect.breaks_assertions.iter();
    let asserted = asserted.filter_map(|one| one.project_id.as_ref());
    let projects = projects.chain(asserted).map(|id| (Some(id), None));
    Names::of_callers(client, callers.chain(projects)).await
}

fn tell(
    found: &Effect,
    once_enforced: &[PreviewedWorkload],
    names: &Names,
    output: Output,
) -> CommandResult {
    for (heading, list) in [
        (REFUSED, &found.starts_to_fail[..]),
        (PASSING, &found.starts_to_pass),
        ("would be refused once enforced", once_enforced),
    ] {
        if !list.is_empty() {
            output.text(&format!("{heading}: {}\n", workloads(list.len())))?;
            output.list(&names.beside(list))?;
            output.text("\n")?;
        }
    }
    if !found.breaks_assertions.is_empty() {
        output.text(&(broken(&found.breaks_assertions, names) + "\n"))?;
    }
    output.text(&summary(found, names))
}

/// The assertions that a change would break, a line for each.
pub(super) fn broken(results: &[AssertionResult], names: &Names) -> String {
    let mut lines = vec![format!(
        "hold now, would no longer hold: {}",
        assertions(results.len())
    )];
    let all = results.iter();
    lines.extend(all.map(|one| format!("  {}", assertion::broken(one, names))));
    lines.join("\n")
}

/// How much was checked, and what is unknown.
fn summary(found: &Effect, names: &Names) -> String {
    let mut text = match found.since {
        Some(since) => format!(
            "checked {} (requests: {}, certificate chains: {}) seen since {}\nstill passing: {}, still refused: {}\n",
            workloads(found.workloads),
            found.requests,
            found.identities,
            timestamp(since),
            found.still_passing,
            found.still_failing,
        ),
        None => "no traffic was observed here, so it is unknown who would be refused\n".to_owned(),
    };
    if found.since.is_some() && found.starts_to_fail.is_empty() {
        text += "this change would refuse none of them\n";
    }
    if !found.starts_to_fail.is_empty() {
        text += &streams_cut(found);
    }
    if let Some(tokens) = tokens(found) {
        text += &(tokens + "\n");
    }
    if let Some(gateways) = not_enforced(found) {
        text += &(gateways + "\n");
    }
    if found.unjudged > 0 {
        text += &format!(
            "{} could not be checked: their certificate chains are not kept\n",
            workloads(found.unjudged)
        );
    }
    if !found.unobserved_projects.is_empty() && found.since.is_some() {
        let projects = found.unobserved_projects.iter();
        let projects: Vec<_> = projects.map(|id| printable(names.project(id))).collect();
        text += &format!("no traffic was observed in: {}\n", projects.join(", "));
    }
    if let Some(last) = found.last_used {
        text += &format!("last used {}\n", timestamp(last));
    }
    text
}

/// What is known of tokens that a change is about; `None` if it is about none.
pub(super) fn tokens(found: &Effect) -> Option<String> {
    let tokens = found.tokens.as_ref()?;
    let mut text = match tokens.last_seen {
        Some(last) => format!(
            "{} without a key may use tokens, last seen {}",
            workloads(tokens.workloads),
            timestamp(last)
        ),
        None => {
            "no use of tokens was observed here, so it is unknown who would get none".to_owned()
        }
    };
    let mut new = tokens.newly_admitted.iter();
    if new.len() > 0 {
        text += &format!("\nget no tokens now, would get them: {}", new.len());
    }
    for one in new.by_ref().take(MOST_NAMED) {
        let line = format!("\n  {} as {}", name_of(&one.leaf), one.service_account_id);
        text += &line;
    }
    if new.len() > 0 {
        text += &format!("\n  and {} more", new.len());
    }
    Some(text.lines().map(printable).collect::<Vec<_>>().join("\n"))
}

/// What a gateway passes over, in words; `None` for nothing.
pub(super) fn passed_over(lacks: &[OrUnknown<Capability>]) -> Option<String> {
    let words: Vec<_> = lacks
        .iter()
        .map(|each| each.to_string().replace('_', " "))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// The gateways that would not enforce what there then is; `None` if all would.
pub(super) fn not_enforced(found: &Effect) -> Option<String> {
    let lines = found.not_enforced_by.iter().map(|gateway| {
        let id = &gateway.id;
        let who = match gateway.name.as_str() {
            "" => id.to_string(),
            name => format!("{name} ({id})"),
        };
        let lacks = passed_over(&gateway.lacks).unwrap_or_default();
        printable(&format!(
            "NOT enforced by gateway {who}: its version does not understand {lacks}; upgrade it"
        ))
    });
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// How many streams are cut, and how well that is known.
fn streams_cut(found: &Effect) -> String {
    let Some(streams) = &found.streams else {
        return "it is unknown how many streams this cuts: no gateway reports them\n".to_owned();
    };
    let ago = found.judged_at.saturating_sub(streams.as_of);
    let mut text = format!(
        "cuts {}, {} now (as reported within the last {ago} s)\n",
        workloads(found.starts_to_fail.len()),
        count(streams.cut, "stream"),
    );
    if streams.unknown > 0 {
        text += &format!(
            "of {} more under way, it is unknown whose they are\n",
            count(streams.unknown, "stream")
        );
    }
    if streams.silent_gateways > 0 {
        text += &format!(
            "{} not report streams\n",
            match streams.silent_gateways {
                1 => "1 gateway does".to_owned(),
                many => format!("{many} gateways do"),
            }
        );
    }
    text
}

/// What to know before confirming, in a few lines.
pub(super) fn warning(found: &Effect, recent_use: Option<UnixSeconds>, names: &Names) -> String {
    let mut lines = Vec::new();
    if !found.starts_to_fail.is_empty() {
        lines.push(changed(REFUSED, &found.starts_to_fail, names));
        lines.push(streams_cut(found).trim_end().to_owned());
    }
    if let Some(last) = recent_use {
        lines.push(format!("last used {}", timestamp(last)));
    }
    lines.join("\n")
}

/// Those that are refused now and would pass; `None` if there are none.
pub(super) fn passing(found: &Effect, names: &Names) -> Option<String> {
    let all = &found.starts_to_pass[..];
    (!all.is_empty()).then(|| changed(PASSING, all, names))
}

/// How many workloads change, and those with the most requests, a line for each.
fn changed<'a>(
    heading: &str,
    all: impl IntoIterator<Item = &'a PreviewedWorkload, IntoIter: ExactSizeIterator>,
    names: &Names,
) -> String {
    let mut all = all.into_iter();
    let mut text = format!("{heading}: {}", workloads(all.len()));
    for one in all.by_ref().take(MOST_NAMED) {
        text += &format!("\n  {}", described(one, names));
    }
    match all.len() {
        0 => text,
        more => text + &format!("\n  and {more} more"),
    }
}

/// A workload, how much of the traffic it is, and why it is refused.
fn described(one: &PreviewedWorkload, names: &Names) -> String {
    let WorkloadIdentity { project, key, leaf } = &one.identity;
    let leaf = leaf.as_ref().map(name_of);
    let who = leaf.unwrap_or_else(|| "no certificate".to_owned());
    let key = key
        .as_ref()
        .map(|key| format!(" with key {}", names.key(key)));
    printable(&format!(
        "{who}{} at {}: {} ({} % there), last seen {}, {}",
        key.unwrap_or_default(),
        names.scope(project.as_ref()),
        requests(one.requests),
        share(one),
        timestamp(one.last_seen),
        one.code,
    ))
}

/// How many of a hundred requests of its project are its own.
fn share(one: &PreviewedWorkload) -> u64 {
    100 * one.requests / one.of_requests.max(1)
}

/// What changes would do at each scope where something would, and what is unknown.
pub(super) fn by_scope(found: &Effect, names: &Names) -> String {
    let mut text = grouped(REFUSED, &found.starts_to_fail, names);
    text += &grouped(PASSING, &found.starts_to_pass, names);
    for one in &found.breaks_assertions {
        text += &format!(
            "! would no longer hold: {}\n",
            assertion::broken(one, names)
        );
    }
    text + &summary(found, names)
}

/// The workloads, by scope.
fn grouped(heading: &str, workloads: &[PreviewedWorkload], names: &Names) -> String {
    let mut scopes: BTreeMap<Option<&ProjectId>, Vec<&PreviewedWorkload>> = BTreeMap::new();
    for one in workloads {
        let project = one.identity.project.as_ref();
        scopes.entry(project).or_default().push(one);
    }
    let lines = scopes.into_iter().map(|(project, workloads)| {
        let changed = changed(heading, workloads, names);
        format!("! {}: {changed}\n", printable(names.scope(project)))
    });
    lines.collect()
}

pub(super) fn assertions(count: usize) -> String {
    match count {
        1 => "1 assertion".to_owned(),
        count => format!("{count} assertions"),
    }
}

pub(super) fn requests(number: u64) -> String {
    count(number, "request")
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

pub(super) fn workloads(count: impl TryInto<u64>) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => "1 workload".to_owned(),
        count => format!("{count} workloads"),
    }
}

fn name_of(leaf: &WorkloadLeaf) -> String {
    match (leaf.subject.as_str(), leaf.sans.first()) {
        ("", Some(name)) => name.clone(),
        ("", None) => leaf.sha256.to_string(),
        (subject, _) => subject.to_owned(),
    }
}

impl NamedRow for PreviewedWorkload {
    const HEAD: &'static [&'static str] = &[
        "leaf",
        "project",
        "key",
        "code",
        "last seen",
        "requests",
        "share",
        "reason",
    ];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let WorkloadIdentity { project, key, leaf } = &self.identity;
        row![
            text_or_dash(leaf.as_ref().map(name_of).as_deref()),
            text_or_dash(project.as_ref().map(|id| names.project(id))),
            text_or_dash(key.as_ref().map(|id| names.key(id))),
            self.code.to_string(),
            moment(self.last_seen),
            self.requests.to_string(),
            format!("{} %", share(self)),
            self.reason.clone(),
        ]
    }
}
