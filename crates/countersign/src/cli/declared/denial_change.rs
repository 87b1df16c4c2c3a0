//! The changes of denials and floors, as programs and people are told of them.

use countersign_types::{
    UnixSeconds,
    certificate::Enforcement,
    id::{CertificateId, DenialId},
};
use serde::Serialize;

use super::{
    file::Declared,
    plan::{Plan, Step},
};
use crate::{
    cli::names::Names,
    output::{printable, timestamp},
};

/// One change. `certificate` is its key in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum DenialChange {
    CreateDenial {
        denial: String,
        scope: String,
        refuses: String,
        enforcement: Enforcement,
        expires_at: Option<UnixSeconds>,
    },
    DeleteDenial {
        denial: String,
        id: DenialId,
    },
    SetFloor {
        certificate: String,
        id: Option<CertificateId>,
        from: Option<UnixSeconds>,
        to: Option<UnixSeconds>,
        enforcement: Enforcement,
    },
}

/// The change of a step, if it is of a denial or a floor.
pub(super) fn change(step: Step, plan: &Plan, declared: &Declared) -> Option<DenialChange> {
    Some(match step {
        Step::Deny(index) => {
            let request = plan.denials.create.get(index)?;
            let project = request.project_id.as_ref();
            DenialChange::CreateDenial {
                denial: request.name.clone(),
                scope: project.map_or("organization", AsRef::as_ref).to_owned(),
                refuses: request.matches.to_string(),
                enforcement: request.enforcement,
                expires_at: request.expires_at,
            }
        }
        Step::LetIn(index) => {
            let (id, name) = plan.denials.delete.get(index)?;
            DenialChange::DeleteDenial {
                denial: name.clone(),
                id: id.clone(),
            }
        }
        Step::Floor(index, enforcement) => {
            let wanted = declared.certificates.get(index)?;
            let held = plan.held.get(index)?.as_ref();
            let is = held.and_then(|held| match enforcement {
                Enforcement::Enforce => held.floor,
                Enforcement::Report => held.reported_floor,
            });
            DenialChange::SetFloor {
                certificate: wanted.key.clone(),
                id: held.map(|held| held.id.clone()),
                from: is,
                to: wanted.floors.of(enforcement),
                enforcement,
            }
        }
        _ => return None,
    })
}

impl DenialChange {
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Self::CreateDenial { .. } => "deny",
            Self::DeleteDenial { .. } => "undeny",
            Self::SetFloor { .. } => "floor",
        }
    }

    /// Its sign, and what changes.
    pub(super) fn line(&self, names: &Names) -> (char, String) {
        let how = |enforcement: &Enforcement| match enforcement {
            Enforcement::Enforce => "",
            Enforcement::Report => ", report-only",
        };
        match self {
            Self::CreateDenial {
                denial,
                scope,
                refuses,
                enforcement,
                expires_at,
            } => {
                let (denial, refuses) = (printable(denial), printable(refuses));
                let scope = printable(names.of_any(scope).unwrap_or(scope));
                let until = expires_at.map(|end| format!(" until {}", timestamp(end)));
                let until = until.unwrap_or_default();
                let how = how(enforcement);
                ('+', format!("{denial}: {refuses} at {scope}{until}{how}"))
            }
            Self::DeleteDenial { denial, .. } => ('-', printable(denial)),
            Self::SetFloor {
                certificate,
                from,
                to,
                enforcement,
                ..
            } => {
                let [from, to] =
                    [from, to].map(|floor| floor.map_or_else(|| "none".to_owned(), timestamp));
                let how = how(enforcement);
                ('~', format!("{certificate}: {from} -> {to}{how}"))
            }
        }
    }
}
