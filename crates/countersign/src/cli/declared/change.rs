//! The changes of a plan, as programs and people are told of them.

use countersign_types::{
    UnixSeconds,
    assertion::{AssertedCode, Expectation},
    certificate::Enforcement,
    digest::Sha256,
    id::{AssertionId, CertificateId},
};
use serde::Serialize;

use super::{
    denial_change::{self, DenialChange},
    federation_change::{self, FederationChange},
    file::Declared,
    plan::{Move, Plan, PlannedScope, Step, with_id},
};
use crate::{
    cli::names::Names,
    output::{one_line, printable, timestamp},
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
    /// The policy that is only reported.
    ReportPolicy {
        certificate: String,
        id: Option<CertificateId>,
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
    #[serde(untagged)]
    Denial(DenialChange),
    #[serde(untagged)]
    Federation(FederationChange),
}

/// The changes of one step.
pub(super) fn changes(step: Step, plan: &Plan, declared: &Declared) -> Vec<Change> {
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
        Step::ReportPolicy(index) => wanted(index).map(|wanted| Change::ReportPolicy {
            certificate: wanted.key.clone(),
            id: held(index).map(|held| held.id.clone()),
            from: held(index).and_then(|held| held.reported.clone()),
            to: wanted.reported.clone(),
        }),
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
        step => beside_certificates(step, plan, declared),
    };
    change.into_iter().collect()
}

/// A change of a denial or a floor, a provider or a rule, or an assertion.
fn beside_certificates(step: Step, plan: &Plan, declared: &Declared) -> Option<Change> {
    if let Step::Federation(step) = step {
        return federation_change::change(step, &plan.federation).map(Change::Federation);
    }
    let taken = denial_change::change(step, plan, declared).map(Change::Denial);
    taken.or_else(|| of_assertion(step, plan))
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
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Upload { .. } => "upload",
            Self::Rename { .. } => "rename",
            Self::Policy { .. } => "policy",
            Self::ReportPolicy { .. } => "report",
            Self::Activate { .. } => "activate",
            Self::Promote { .. } => "promote",
            Self::Demote { .. } => "demote",
            Self::Deactivate { .. } => "deactivate",
            Self::Delete { .. } => "delete",
            Self::DeleteAssertion { .. } => "unassert",
            Self::UpdateAssertion { .. } => "reason",
            Self::CreateAssertion { .. } => "assert",
            Self::Denial(change) => change.verb(),
            Self::Federation(change) => change.verb(),
        }
    }
}

/// A scope by its name.
pub(super) fn called(scope: &str, names: &Names) -> String {
    printable(names.of_any(scope).unwrap_or(scope))
}

/// A change in one line.
pub(super) fn line(change: &Change, names: &Names) -> String {
    let (sign, what) = of_certificate(change)
        .or_else(|| of_an_assertion(change, names))
        .or_else(|| of_scope(change, names))
        .or_else(|| of_another(change, names))
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
        }
        | Change::ReportPolicy {
            certificate,
            from,
            to,
            ..
        } => {
            let (from, to) = (or_none(from.as_ref()), or_none(to.as_ref()));
            ('~', format!("{certificate}: {from} -> {to}"))
        }
        Change::Delete { id, name } => ('-', with_id(name.as_deref(), id)),
        _ => return None,
    })
}

/// A change of an assertion, with its sign.
fn of_an_assertion(change: &Change, names: &Names) -> Option<(char, String)> {
    Some(match change {
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
                "{}: {}{code} at {}",
                printable(assertion),
                expect.as_str(),
                called(scope, names),
            );
            ('+', what)
        }
        _ => return None,
    })
}

/// A change of what is active at a scope, with its sign.
fn of_scope(change: &Change, names: &Names) -> Option<(char, String)> {
    let at = |scope: &str| called(scope, names);
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
            ('+', format!("{}: {certificate}{how}", at(scope)))
        }
        Change::Promote {
            scope, certificate, ..
        } => {
            let what = format!("{}: {certificate}, report-only -> enforced", at(scope));
            ('~', what)
        }
        Change::Demote {
            scope, certificate, ..
        } => {
            let what = format!("{}: {certificate}, enforced -> report-only", at(scope));
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
                .unwrap_or_else(|| with_id(name.as_deref(), id));
            ('-', format!("{}: {what}", at(scope)))
        }
        _ => return None,
    })
}

/// A change of a denial, a floor, a provider or a rule, with its sign.
fn of_another(change: &Change, names: &Names) -> Option<(char, String)> {
    match change {
        Change::Denial(change) => Some(change.line(names)),
        Change::Federation(change) => Some(change.line(names)),
        _ => None,
    }
}

fn or_none(text: Option<&String>) -> String {
    text.map_or_else(|| "none".to_owned(), |text| format!("`{}`", one_line(text)))
}
