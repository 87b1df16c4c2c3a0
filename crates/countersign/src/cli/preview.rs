//! A preview as people read it: who would be refused, who would pass, and how much is known.

use countersign_types::{
    UnixSeconds,
    preview::{PreviewedLeaf, PreviewedWorkload, TogglePreview},
};

use crate::{
    failure::{Failure, Outcome},
    output::{Output, Row, moment, printable, text_or_dash},
};

/// The exit code when anyone would be refused.
const BREAKS: u8 = 3;

/// Shows a preview; ends with exit code 3 when anyone would be refused.
pub(super) fn show(found: &TogglePreview, output: Output) -> Outcome {
    if output.is_table() {
        tell(found, output)?;
    } else {
        output.value(found)?;
    }
    if found.starts_to_fail.is_empty() {
        return Ok(());
    }
    Err(Failure::quiet(BREAKS))
}

fn tell(found: &TogglePreview, output: Output) -> Outcome {
    for (heading, list) in [
        ("pass now and would be refused", &found.starts_to_fail),
        ("are refused now and would pass", &found.starts_to_pass),
        (
            "would be refused once this is enforced",
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

/// How much was looked at, and what is not known.
fn summary(found: &TogglePreview) -> String {
    let mut text = match found.since {
        Some(since) => format!(
            "judged {} (requests: {}, chains: {}), seen since {}\nstill passing: {}, still refused: {}\n",
            workloads(found.workloads),
            found.requests,
            found.identities,
            moment(since),
            found.still_passing,
            found.still_failing,
        ),
        None => {
            "nothing was observed here, so this says nothing of who would be refused\n".to_owned()
        }
    };
    if found.since.is_some() && found.starts_to_fail.is_empty() {
        text += "none of them would be refused for this change\n";
    }
    if found.unjudged > 0 {
        text += &format!(
            "nothing is known of {} whose chains are not kept\n",
            workloads(found.unjudged)
        );
    }
    if !found.unobserved_projects.is_empty() && found.since.is_some() {
        let ids: Vec<_> = found
            .unobserved_projects
            .iter()
            .map(AsRef::as_ref)
            .collect();
        text += &format!("nothing was observed of: {}\n", ids.join(", "));
    }
    if let Some(last) = found.last_used {
        text += &format!("last used {}\n", moment(last));
    }
    text
}

/// What whoever is asked must know, in a few lines.
pub(super) fn warning(found: &TogglePreview, lately: Option<UnixSeconds>) -> String {
    let mut lines = Vec::new();
    if let Some(first) = found.starts_to_fail.first() {
        lines.push(format!(
            "pass now and would be refused: {}; first {} ({}, requests: {}, last seen {})",
            workloads(found.starts_to_fail.len()),
            printable(&caller(first)),
            first.code.as_str(),
            first.requests,
            moment(first.last_seen),
        ));
    }
    if let Some(last) = lately {
        lines.push(format!("last used {}", moment(last)));
    }
    lines.push("`--preview` tells the whole of it".to_owned());
    lines.join("\n")
}

fn workloads(count: impl TryInto<u64>) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => "1 workload".to_owned(),
        count => format!("{count} workloads"),
    }
}

/// Who calls, by what people know it by.
fn caller(workload: &PreviewedWorkload) -> String {
    let leaf = workload.leaf.as_ref().map(name_of);
    leaf.unwrap_or_else(|| text_or_dash(workload.key.as_ref().map(AsRef::as_ref)))
}

fn name_of(leaf: &PreviewedLeaf) -> String {
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
        let share = 100 * self.requests / self.of_requests.max(1);
        vec![
            text_or_dash(self.project.as_ref().map(AsRef::as_ref)),
            text_or_dash(self.key.as_ref().map(AsRef::as_ref)),
            text_or_dash(self.leaf.as_ref().map(name_of).as_deref()),
            self.code.as_str().to_owned(),
            moment(self.last_seen),
            self.requests.to_string(),
            format!("{share} %"),
            self.reason.clone(),
        ]
    }
}
