//! A plan as it is shown to people and programs.

use countersign_types::{
    UnixSeconds, certificate::Enforcement, digest::Sha256, id::CertificateId, preview::Effect,
};
use serde::Serialize;

use super::{
    file::Declared,
    plan::{Move, Plan, PlannedScope, Step, called},
};
use crate::{
    cli::preview,
    failure::CommandResult,
    output::{Output, printable, timestamp},
};

/// One change. `scope` is `organization` or a project's id; `certificate` is its key in the file,
/// null when the file does not name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum Change {
    Upload {
        certificate: String,
        file: String,
        sha256: Sha256,
        expires_at: UnixSeconds,
        name: Option<String>,
        cel_policy: Option<String>,
    },
    Rename {
        certificate: String,
        id: CertificateId,
        from: Option<String>,
        to: Option<String>,
    },
    Policy {
        certificate: String,
        id: CertificateId,
        from: Option<String>,
        to: Option<String>,
    },
    Activate {
        scope: String,
        certificate: String,
        id: Option<CertificateId>,
        enforcement: Enforcement,
    },
    Promote {
        scope: String,
        certificate: String,
        id: Option<CertificateId>,
    },
    Demote {
        scope: String,
        certificate: String,
        id: Option<CertificateId>,
    },
    Deactivate {
        scope: String,
        certificate: Option<String>,
        id: CertificateId,
        name: Option<String>,
    },
    Delete {
        id: CertificateId,
        name: Option<String>,
    },
}

/// A plan as a document.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct PlanReport {
    /// In the order in which they will be made.
    pub(super) changes: Vec<Change>,
    /// The scopes that enforce trust anchors now and would enforce none.
    pub(super) disarmed: Vec<String>,
    /// The server's certificates that the file does not name; they are kept.
    pub(super) left_alone: Vec<NamedCertificate>,
}

/// A plan and its effect, as a document.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    plan: &'a PlanReport,
    /// Null when it is not known, or nothing changes that could refuse or admit somebody.
    preview: Option<&'a Effect>,
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
        let disarmed = plan.scopes.iter().filter(|scope| scope.disarms());
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
        }
    }

    /// Writes the plan, and what it would do to observed traffic where that is known: lines for
    /// people, one document for programs.
    pub(super) fn show(&self, preview: Option<&Effect>, output: Output) -> CommandResult {
        if !output.is_table() {
            return output.value(&Document {
                plan: self,
                preview,
            });
        }
        let mut text: String = self.changes.iter().map(line).collect();
        for scope in &self.disarmed {
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
        if let Some(effect) = preview {
            text += &preview::by_scope(effect);
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
        format!("{}{}", self.id, called(self.name.as_deref()))
    }
}

fn changes(step: Step, plan: &Plan, declared: &Declared) -> Vec<Change> {
    let wanted = |index: usize| declared.certificates.get(index);
    let held = |index: usize| plan.held.get(index)?.as_ref();
    let change = match step {
        Step::Upload(index) => wanted(index).map(|wanted| Change::Upload {
            certificate: wanted.key.clone(),
            file: wanted.file.display().to_string(),
            sha256: wanted.facts.sha256(),
            expires_at: wanted.facts.not_after().clamped(),
            name: wanted.name.clone(),
            cel_policy: wanted.policy.clone(),
        }),
        Step::Rename(index) => {
            wanted(index)
                .zip(held(index))
                .map(|(wanted, held)| Change::Rename {
                    certificate: wanted.key.clone(),
                    id: held.id.clone(),
                    from: held.name.clone(),
                    to: wanted.name.clone(),
                })
        }
        Step::Policy(index) => {
            wanted(index)
                .zip(held(index))
                .map(|(wanted, held)| Change::Policy {
                    certificate: wanted.key.clone(),
                    id: held.id.clone(),
                    from: held.policy.clone(),
                    to: wanted.policy.clone(),
                })
        }
        Step::Scope(index) => {
            let Some(scope) = plan.scopes.get(index) else {
                return Vec::new();
            };
            let moves = scope.moves.iter();
            return moves
                .filter_map(|each| at_scope(scope, each, plan, declared))
                .collect();
        }
        Step::Delete(index) => plan.delete.get(index).map(|known| Change::Delete {
            id: known.id.clone(),
            name: known.name.clone(),
        }),
    };
    change.into_iter().collect()
}

fn at_scope(scope: &PlannedScope, each: &Move, plan: &Plan, declared: &Declared) -> Option<Change> {
    let key = |index: usize| Some(declared.certificates.get(index)?.key.clone());
    let id = |index: usize| Some(plan.held.get(index)?.as_ref()?.id.clone());
    let scope = scope.shown.clone();
    Some(match each {
        Move::Activate(index, enforcement) => Change::Activate {
            scope,
            certificate: key(*index)?,
            id: id(*index),
            enforcement: *enforcement,
        },
        Move::Promote(index) => Change::Promote {
            scope,
            certificate: key(*index)?,
            id: id(*index),
        },
        Move::Demote(index) => Change::Demote {
            scope,
            certificate: key(*index)?,
            id: id(*index),
        },
        Move::Deactivate(gone, index) => Change::Deactivate {
            scope,
            certificate: index.and_then(key),
            name: plan.name_of(gone),
            id: gone.clone(),
        },
    })
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Self::Upload { .. } => "upload",
            Self::Rename { .. } => "rename",
            Self::Policy { .. } => "policy",
            Self::Activate { .. } => "activate",
            Self::Promote { .. } => "promote",
            Self::Demote { .. } => "demote",
            Self::Deactivate { .. } => "deactivate",
            Self::Delete { .. } => "delete",
        }
    }
}

fn line(change: &Change) -> String {
    let (sign, what) = of_certificate(change)
        .or_else(|| of_scope(change))
        .unwrap_or_default();
    format!("{sign} {:<10}  {what}\n", change.verb())
}

/// A change of a certificate itself, with its sign.
fn of_certificate(change: &Change) -> Option<(char, String)> {
    Some(match change {
        Change::Upload {
            certificate,
            file,
            expires_at,
            cel_policy,
            ..
        } => {
            let policy = match cel_policy {
                Some(_) => format!(", policy {}", or_none(cel_policy.as_ref())),
                None => String::new(),
            };
            let expires = timestamp(*expires_at);
            let what = format!("{certificate}: {file}, expires {expires}{policy}");
            ('+', what)
        }
        Change::Rename {
            certificate,
            from,
            to,
            ..
        }
        | Change::Policy {
            certificate,
            from,
            to,
            ..
        } => {
            let (from, to) = (or_none(from.as_ref()), or_none(to.as_ref()));
            ('~', format!("{certificate}: {from} -> {to}"))
        }
        Change::Delete { id, name } => ('-', format!("{id}: {}", or_none(name.as_ref()))),
        _ => return None,
    })
}

/// A change of what is active at a scope, with its sign.
fn of_scope(change: &Change) -> Option<(char, String)> {
    Some(match change {
        Change::Activate {
            scope,
            certificate,
            enforcement,
            ..
        } => {
            let how = match enforcement {
                Enforcement::Enforce => "",
                Enforcement::Report => ", report-only",
            };
            ('+', format!("{scope}: {certificate}{how}"))
        }
        Change::Promote {
            scope, certificate, ..
        } => {
            let what = format!("{scope}: {certificate}, report-only -> enforced");
            ('~', what)
        }
        Change::Demote {
            scope, certificate, ..
        } => {
            let what = format!("{scope}: {certificate}, enforced -> report-only");
            ('~', what)
        }
        Change::Deactivate {
            scope,
            certificate,
            id,
            name,
        } => {
            let what = certificate
                .clone()
                .unwrap_or_else(|| format!("{id}{}", called(name.as_deref())));
            ('-', format!("{scope}: {what}"))
        }
        _ => return None,
    })
}

fn or_none(text: Option<&String>) -> String {
    text.map_or_else(
        || "none".to_owned(),
        |text| format!("`{}`", printable(text)),
    )
}
