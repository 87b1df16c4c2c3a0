//! A plan as it is shown to people and programs.

use countersign_types::{assertion::AssertionRun, id::CertificateId, preview::Effect};
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{
    change::{Change, called, changes, line},
    file::Declared,
    plan::{Plan, with_id},
    trial,
};
use crate::{
    cli::{assertion, guard::Foreseen, names::Names, preview},
    failure::CommandResult,
    output::{Output, printable},
};

/// A plan as a document.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct PlanReport {
    /// In the order in which they will be made.
    pub(super) changes: Vec<Change>,
    /// The scopes that enforce trust anchors now and would enforce none.
    pub(super) disarmed: Vec<String>,
    /// The server's certificates that the file does not name; they are kept.
    pub(super) left_alone: Vec<NamedCertificate>,
    /// The certificates whose floors the file does not name; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_floors: Vec<String>,
    /// The server's denials that the file does not name; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_denials: Vec<String>,
    /// The denials of the file that are over, so that they are not created.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) over_denials: Vec<String>,
    /// The certificates that are uploaded with a floor, of which no preview says whom it refuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unforeseen_floors: Vec<String>,
    /// The server's assertions that the file does not name; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_assertions: Vec<String>,
    /// The server's workload identity providers that the file does not name; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_providers: Vec<String>,
    /// The rules of its providers that the file does not name; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_rules: Vec<String>,
}

/// A plan and its effect, as a document.
#[skip_serializing_none]
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    plan: &'a PlanReport,
    /// Null when it is not known, or nothing changes that could refuse or admit somebody.
    #[serialize_always]
    preview: Option<&'a Effect>,
    /// Which assertions hold now; absent where there are none.
    assertions: Option<&'a AssertionRun>,
}

/// What is known of a plan beside its changes.
pub(super) struct Consequences {
    /// What it would do to observed traffic, and which assertions it would break.
    pub(super) foreseen: Foreseen,
    /// Which assertions hold now.
    pub(super) assertions: Option<AssertionRun>,
}

/// A certificate of the server.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct NamedCertificate {
    pub(super) id: CertificateId,
    pub(super) name: Option<String>,
}

impl PlanReport {
    pub(super) fn of(plan: &Plan, declared: &Declared) -> Self {
        let steps = plan.steps.iter();
        let disarmed = plan.disarmed.iter();
        let disarmed = disarmed.filter_map(|index| plan.scopes.get(*index));
        let left = plan.left.iter();
        Self {
            changes: steps
                .flat_map(|step| changes(*step, plan, declared))
                .collect(),
            disarmed: disarmed.map(|scope| scope.shown.clone()).collect(),
            left_alone: left
                .map(|known| NamedCertificate {
                    id: known.id.clone(),
                    name: known.name.clone(),
                })
                .collect(),
            left_floors: plan.left_floors.clone(),
            left_denials: plan.denials.left.clone(),
            over_denials: plan.denials.over.clone(),
            unforeseen_floors: trial::unforeseen(plan, declared),
            left_assertions: plan.assertions.left.clone(),
            left_providers: plan.federation.left.clone(),
            left_rules: plan.federation.left_rules.clone(),
        }
    }

    /// Writes the plan, and what it would do to observed traffic where that is known: lines for
    /// people, one document for programs.
    pub(super) fn show(
        &self,
        known: &Consequences,
        names: &Names,
        output: Output,
    ) -> CommandResult {
        let preview = known.foreseen.effect();
        if !output.is_table() {
            return output.value(&Document {
                plan: self,
                preview,
                assertions: known.assertions.as_ref(),
            });
        }
        let mut text: String = self.changes.iter().map(|each| line(each, names)).collect();
        for scope in &self.disarmed {
            let scope = called(scope, names);
            text += &format!("! {scope} enforces trust anchors now, and would enforce none\n");
        }
        if !self.left_alone.is_empty() {
            let left: Vec<String> = self
                .left_alone
                .iter()
                .map(NamedCertificate::shown)
                .collect();
            text += &format!("not in the file, kept: {}\n", left.join(", "));
        }
        for (what, named) in [
            ("floors not in the file, kept", &self.left_floors),
            ("denials not in the file, kept", &self.left_denials),
            ("denials that are over, not created", &self.over_denials),
            (
                "! uploaded with a floor, of which no preview says whom it refuses",
                &self.unforeseen_floors,
            ),
            ("assertions not in the file, kept", &self.left_assertions),
            (
                "workload identity providers not in the file, kept",
                &self.left_providers,
            ),
            ("federation rules not in the file, kept", &self.left_rules),
        ] {
            if !named.is_empty() {
                let named: Vec<_> = named.iter().map(|name| printable(name)).collect();
                text += &format!("{what}: {}\n", named.join(", "));
            }
        }
        for result in known.assertions.iter().flat_map(|run| &run.results) {
            if !result.holds {
                text += &format!(
                    "! does not hold now: {}\n",
                    assertion::broken(result, names)
                );
            }
        }
        if let Some(effect) = preview {
            text += &preview::by_scope(effect, names);
        }
        output.text(&(text + &self.summary() + "\n"))
    }

    /// How many changes of each kind.
    pub(super) fn summary(&self) -> String {
        if self.changes.is_empty() {
            return "nothing to do: the server matches the file".to_owned();
        }
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for change in &self.changes {
            let verb = change.verb();
            match counts.iter_mut().find(|(known, _)| *known == verb) {
                Some((_, count)) => *count += 1,
                None => counts.push((verb, 1)),
            }
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(verb, count)| format!("{count} {verb}"))
            .collect();
        format!("to do: {}", counts.join(", "))
    }
}

impl NamedCertificate {
    fn shown(&self) -> String {
        with_id(self.name.as_deref(), &self.id)
    }
}
