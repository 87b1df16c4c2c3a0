//! A preview as people read it: which workloads would be refused or would pass, and how much is known.

use std::collections::BTreeMap;

use countersign_types::{
    UnixSeconds,
    assertion::AssertionResult,
    preview::{Effect, PreviewedWorkload},
    workload::{WorkloadIdentity, WorkloadLeaf},
};
use serde::Serialize;

use super::assertion;
use crate::{
    failure::{CommandResult, Failure},
    output::{Cell, Output, Row, moment, printable, row, text_or_dash, timestamp},
};

/// The exit code when a workload would be refused.
pub(super) const WOULD_REFUSE: u8 = 3;

/// What is said of workloads that would be refused.
const REFUSED: &str = "pass now, would be refused";
/// What is said of workloads that would no longer be refused.
const PASSING: &str = "refused now, would pass";

/// Shows a preview; exit code 3 when a workload would be refused or an assertion would not hold.
pub(super) fn show(
    preview: &impl Serialize,
    effect: &Effect,
    once_enforced: &[PreviewedWorkload],
    output: Output,
) -> CommandResult {
    if output.is_table() {
        tell(effect, once_enforced, output)?;
    } else {
        output.value(preview)?;
    }
    if effect.starts_to_fail.is_empty() && effect.breaks_assertions.is_empty() {
        return Ok(());
    }
    Err(Failure::quiet(WOULD_REFUSE))
}

fn tell(found: &Effect, once_enforced: &[PreviewedWorkload], output: Output) -> CommandResult {
    for (heading, list) in [
        (REFUSED, &found.starts_to_fail[..]),
        (PASSING, &found.starts_to_pass),
        ("would be refused once enforced", once_enforced),
    ] {
        if !list.is_empty() {
            output.text(&format!("{heading}: {}\n", workloads(list.len())))?;
            output.list(list)?;
            output.text("\n")?;
        }
    }
    if !found.breaks_assertions.is_empty() {
        output.text(&(broken(&found.breaks_assertions) + "\n"))?;
    }
    output.text(&summary(found))
}

/// The assertions that a change would break, a line for each.
pub(super) fn broken(results: &[AssertionResult]) -> String {
    let mut lines = vec![format!(
        "hold now, would no longer hold: {}",
        assertions(results.len())
    )];
    lines.extend(
        results
            .iter()
            .map(|one| format!("  {}", assertion::broken(one))),
    );
    lines.join("\n")
}

/// How much was checked, and what is unknown.
fn summary(found: &Effect) -> String {
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
    if found.unjudged > 0 {
        text += &format!(
            "{} could not be checked: their certificate chains are not kept\n",
            workloads(found.unjudged)
        );
    }
    if !found.unobserved_projects.is_empty() && found.since.is_some() {
        let ids: Vec<_> = found
            .unobserved_projects
            .iter()
            .map(|id| printable(id.as_str()))
            .collect();
        text += &format!("no traffic was observed in: {}\n", ids.join(", "));
    }
    if let Some(last) = found.last_used {
        text += &format!("last used {}\n", timestamp(last));
    }
    text
}

/// What to know before confirming, in a few lines.
pub(super) fn warning(found: &Effect, recent_use: Option<UnixSeconds>) -> String {
    let mut lines = Vec::new();
    if let Some(first) = found.starts_to_fail.first() {
        lines.push(refused(first, found.starts_to_fail.len()));
    }
    if let Some(last) = recent_use {
        lines.push(format!("last used {}", timestamp(last)));
    }
    lines.join("\n")
}

/// Those that are refused now and would pass; `None` if there are none.
pub(super) fn passing(found: &Effect) -> Option<String> {
    let first = found.starts_to_pass.first()?;
    Some(changed(PASSING, first, found.starts_to_pass.len()))
}

fn refused(first: &PreviewedWorkload, count: usize) -> String {
    changed(REFUSED, first, count)
}

/// How many workloads change, and the one with the most requests.
fn changed(heading: &str, first: &PreviewedWorkload, count: usize) -> String {
    format!(
        "{heading}: {}; first {} ({}, requests: {}, last seen {})",
        workloads(count),
        printable(&caller(first)),
        first.code,
        first.requests,
        timestamp(first.last_seen),
    )
}

/// What changes would do at each scope where something would, and what is unknown.
pub(super) fn by_scope(found: &Effect) -> String {
    let mut text = grouped(REFUSED, &found.starts_to_fail);
    text += &grouped(PASSING, &found.starts_to_pass);
    for one in &found.breaks_assertions {
        text += &format!("! would no longer hold: {}\n", assertion::broken(one));
    }
    text + &summary(found)
}

/// A line for each scope of the workloads.
fn grouped(heading: &str, workloads: &[PreviewedWorkload]) -> String {
    let mut scopes: BTreeMap<&str, Vec<&PreviewedWorkload>> = BTreeMap::new();
    for one in workloads {
        let project = one.identity.project.as_ref();
        let scope = project.map_or("organization", AsRef::as_ref);
        scopes.entry(scope).or_default().push(one);
    }
    let lines = scopes.iter().filter_map(|(scope, workloads)| {
        let changed = changed(heading, workloads.first()?, workloads.len());
        Some(format!("! {scope}: {changed}\n"))
    });
    lines.collect()
}

pub(super) fn assertions(count: usize) -> String {
    match count {
        1 => "1 assertion".to_owned(),
        count => format!("{count} assertions"),
    }
}

pub(super) fn requests(count: u64) -> String {
    match count {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    }
}

pub(super) fn workloads(count: impl TryInto<u64>) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => "1 workload".to_owned(),
        count => format!("{count} workloads"),
    }
}

/// The workload by the name that people know: its certificate's, else its key.
fn caller(workload: &PreviewedWorkload) -> String {
    let WorkloadIdentity { key, leaf, .. } = &workload.identity;
    let leaf = leaf.as_ref().map(name_of);
    leaf.unwrap_or_else(|| text_or_dash(key.as_ref().map(AsRef::as_ref)))
}

fn name_of(leaf: &WorkloadLeaf) -> String {
    match (leaf.subject.as_str(), leaf.sans.first()) {
        ("", Some(name)) => name.clone(),
        ("", None) => leaf.sha256.to_string(),
        (subject, _) => subject.to_owned(),
    }
}

impl Row for PreviewedWorkload {
    const HEAD: &'static [&'static str] = &[
        "project",
        "key",
        "leaf",
        "code",
        "last seen",
        "requests",
        "share",
        "reason",
    ];

    fn cells(&self) -> Vec<Cell> {
        let WorkloadIdentity { project, key, leaf } = &self.identity;
        let share = 100 * self.requests / self.of_requests.max(1);
        row![
            text_or_dash(project.as_ref().map(AsRef::as_ref)),
            text_or_dash(key.as_ref().map(AsRef::as_ref)),
            text_or_dash(leaf.as_ref().map(name_of).as_deref()),
            self.code.to_string(),
            moment(self.last_seen),
            self.requests.to_string(),
            format!("{share} %"),
            self.reason.clone(),
        ]
    }
}
