//! A preview as people read it: which workloads would be refused or would pass, and how much is known.

use countersign_client::Received;
use countersign_types::{
    UnixSeconds,
    preview::{PreviewedWorkload, TogglePreview},
    workload::{WorkloadIdentity, WorkloadLeaf},
};

use crate::{
    failure::{CommandResult, Failure},
    output::{Output, Row, printable, text_or_dash, timestamp},
};

/// The exit code when a workload would be refused.
const WOULD_REFUSE: u8 = 3;

/// Shows a preview; exit code 3 when a workload would be refused.
pub(super) fn show(found: &Received<TogglePreview>, output: Output) -> CommandResult {
    if output.is_table() {
        tell(found, output)?;
    } else {
        output.value(found)?;
    }
    if found.starts_to_fail.is_empty() {
        return Ok(());
    }
    Err(Failure::quiet(WOULD_REFUSE))
}

fn tell(found: &TogglePreview, output: Output) -> CommandResult {
    for (heading, list) in [
        ("pass now, would be refused", &found.starts_to_fail),
        ("refused now, would pass", &found.starts_to_pass),
        (
            "would be refused once enforced",
            &found.would_fail_once_enforced,
        ),
    ] {
        if !list.is_empty() {
            output.text(&format!("{heading}: {}\n", workloads(list.len())))?;
            output.list(list)?;
            output.text("\n")?;
        }
    }
    output.text(&summary(found))
}

/// How much was checked, and what is unknown.
fn summary(found: &TogglePreview) -> String {
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
pub(super) fn warning(found: &TogglePreview, recent_use: Option<UnixSeconds>) -> String {
    let mut lines = Vec::new();
    if let Some(first) = found.starts_to_fail.first() {
        lines.push(format!(
            "pass now, would be refused: {}; first {} ({}, requests: {}, last seen {})",
            workloads(found.starts_to_fail.len()),
            printable(&caller(first)),
            first.code,
            first.requests,
            timestamp(first.last_seen),
        ));
    }
    if let Some(last) = recent_use {
        lines.push(format!("last used {}", timestamp(last)));
    }
    lines.push("run it with `--preview` for the full list".to_owned());
    lines.join("\n")
}

fn workloads(count: impl TryInto<u64>) -> String {
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

    fn cells(&self) -> Vec<String> {
        let WorkloadIdentity { project, key, leaf } = &self.identity;
        let share = 100 * self.requests / self.of_requests.max(1);
        vec![
            text_or_dash(project.as_ref().map(AsRef::as_ref)),
            text_or_dash(key.as_ref().map(AsRef::as_ref)),
            text_or_dash(leaf.as_ref().map(name_of).as_deref()),
            self.code.to_string(),
            timestamp(self.last_seen),
            self.requests.to_string(),
            format!("{share} %"),
            self.reason.clone(),
        ]
    }
}
