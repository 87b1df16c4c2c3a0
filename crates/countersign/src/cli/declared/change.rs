//! A plan as it is shown to people and programs.

use countersign_types::{
    UnixSeconds,
    assertion::{AssertedCode, AssertionRun, Expectation},
    certificate::Enforcement,
    digest::Sha256,
    id::{AssertionId, CertificateId},
    preview::Effect,
};
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{
    file::Declared,
    plan::{Move, Plan, PlannedScope, Step, called},
};
use crate::{
    cli::{assertion, guard::Foreseen, preview},
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
    DeleteAssertion {
        assertion: String,
        id: AssertionId,
    },
    /// Its reason changes.
    UpdateAssertion {
        assertion: String,
        id: AssertionId,
        from: Option<String>,
        to: Option<String>,
    },
    CreateAssertion {
        assertion: String,
        scope: String,
        expect: Expectation,
        code: Option<AssertedCode>,
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
    /// The server's assertions that the file does not name; they are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_assertions: Vec<String>,
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
            left_assertions: plan.assertions.left.clone(),
        }
    }

    /// Writes the plan, and what it would do to observed traffic where that is known: lines for
    /// people, one document for programs.
    pub(super) fn show(&self, known: &Consequences, output: Output) -> CommandResult {
        let preview = known.foreseen.effect();
        if !output.is_table() {
            return output.value(&Document {
                plan: self,
                preview,
                assertions: known.assertions.as_ref(),
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
        if !self.left_assertions.is_empty() {
            let left: Vec<_> = self
                .left_assertions
                .iter()
                .map(|name| printable(name))
                .collect();
            text += &format!("assertions not in the file, kept: {}\n", left.join(", "));
        }
        for result in known.assertions.iter().flat_map(|run| &run.results) {
            if !result.holds {
                text += &format!("! does not hold now: {}\n", assertion::broken(result));
            }
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
        Step::DeleteAssertion(_) | Step::Reason(_) | Step::CreateAssertion(_) => {
            of_assertion(step, plan)
        }
    };
    change.into_iter().collect()
}

fn of_assertion(step: Step, plan: &Plan) -> Option<Change> {
    let plan = &plan.assertions;
    match step {
        Step::DeleteAssertion(index) => {
            let (id, name) = plan.delete.get(index)?;
            Some(Change::DeleteAssertion {
                assertion: name.clone(),
                id: id.clone(),
            })
        }
        Step::Reason(index) => {
            let reason = plan.reasons.get(index)?;
            Some(Change::UpdateAssertion {
                assertion: reason.name.clone(),
                id: reason.id.clone(),
                from: reason.from.clone(),
                to: reason.to.clone(),
            })
        }
        Step::CreateAssertion(index) => {
            let request = plan.create.get(index)?;
            let project = request.project_id.as_ref();
            Some(Change::CreateAssertion {
                assertion: request.name.clone(),
                scope: project.map_or("organization", AsRef::as_ref).to_owned(),
                expect: request.expect,
                code: request.code,
            })
        }
        _ => None,
    }
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
            Self::DeleteAssertion { .. } => "unassert",
            Self::UpdateAssertion { .. } => "reason",
            Self::CreateAssertion { .. } => "assert",
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
        Change::DeleteAssertion { assertion, .. } => ('-', printable(assertion)),
        Change::UpdateAssertion {
            assertion,
            from,
            to,
            ..
        } => {
            let (from, to) = (or_none(from.as_ref()), or_none(to.as_ref()));
            ('~', format!("{}: {from} -> {to}", printable(assertion)))
        }
        Change::CreateAssertion {
            assertion,
            scope,
            expect,
            code,
        } => {
            let code = code.map_or_else(String::new, |code| format!(" with {}", code.as_str()));
            let what = format!(
                "{}: {}{code} at {scope}",
                printable(assertion),
                expect.as_str()
            );
            ('+', what)
        }
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
