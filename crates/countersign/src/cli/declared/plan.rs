//! A plan: what a server has, what a file declares, and the steps from one to the other.

use countersign_types::{
    certificate::{ActiveCertificate, Enforcement, Scope},
    id::CertificateId,
};

use super::{
    assertion_plan::AssertionPlan,
    denial_plan::DenialPlan,
    federation_plan::{FederationPlan, FederationStep},
    server::Known,
};
use crate::output::printable;

/// The changes to make.
pub(super) struct Plan {
    /// Whether the server has Countersign's extensions.
    pub(super) countersign: bool,
    /// The server's counterpart of each certificate in the file; `None` is to be uploaded.
    pub(super) held: Vec<Option<Known>>,
    pub(super) scopes: Vec<PlannedScope>,
    /// The scopes that enforce trust anchors now and would have none that is enforced, as indexes.
    pub(super) disarmed: Vec<usize>,
    /// Uploads and renames come first, deletions last. Assertions, providers and rules that go are deleted
    /// before all that, and those that come are created after it.
    pub(super) steps: Vec<Step>,
    /// The certificates to delete.
    pub(super) delete: Vec<Known>,
    /// The certificates that the file does not name and that are kept.
    pub(super) left: Vec<Known>,
    /// What changes of the denials.
    pub(super) denials: DenialPlan,
    /// The certificates whose floors the file does not name and that are kept, by their keys in the file.
    pub(super) left_floors: Vec<String>,
    /// What changes of the assertions.
    pub(super) assertions: AssertionPlan,
    /// What changes of workload identity providers and federation rules.
    pub(super) federation: FederationPlan,
}

/// A scope of the file, with its present state.
pub(super) struct PlannedScope {
    pub(super) scope: Scope,
    /// What it is called: `organization`, or the project's id.
    pub(super) shown: String,
    /// What is active there.
    pub(super) before: Vec<ActiveCertificate>,
    /// What should be active, as indexes in the file.
    pub(super) wanted: Vec<(usize, Enforcement)>,
    pub(super) moves: Vec<Move>,
}

/// A change to one certificate at a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Move {
    Activate(usize, Enforcement),
    Promote(usize),
    Demote(usize),
    /// With its index in the file, if it has one.
    Deactivate(CertificateId, Option<usize>),
}

/// One call, or the calls for one scope. The numbers are indexes: of a certificate in the file, of a
/// scope in the plan, of a certificate, a denial or an assertion among those to delete or to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Upload(usize),
    Rename(usize),
    Policy(usize),
    ReportPolicy(usize),
    /// A denial, as an index among those to create.
    Deny(usize),
    /// The floor of a certificate, or the one that is only reported.
    Floor(usize, Enforcement),
    Scope(usize),
    /// A denial, as an index among those to delete.
    LetIn(usize),
    Delete(usize),
    DeleteAssertion(usize),
    Reason(usize),
    CreateAssertion(usize),
    Federation(FederationStep),
}

impl Step {
    /// Whether it changes what is let through.
    pub(super) const fn is_trust(self) -> bool {
        matches!(
            self,
            Self::Policy(_)
                | Self::ReportPolicy(_)
                | Self::Deny(_)
                | Self::Floor(..)
                | Self::Scope(_)
                | Self::LetIn(_)
        )
    }
}

impl Plan {
    /// A certificate's name on the server.
    pub(super) fn name_of(&self, id: &CertificateId) -> Option<String> {
        let held = self.held.iter().flatten();
        let mut all = held.chain(&self.delete).chain(&self.left);
        all.find(|known| known.id == *id)?.name.clone()
    }
}

impl PlannedScope {
    /// Whether a scope that enforces trust anchors now would enforce none itself.
    pub(super) fn disarms(&self) -> bool {
        let mut before = self.before.iter();
        before.any(|each| each.enforcement == Enforcement::Enforce) && !self.will_enforce()
    }

    /// Whether anything would be enforced there.
    pub(super) fn will_enforce(&self) -> bool {
        let mut wanted = self.wanted.iter();
        wanted.any(|(_, enforcement)| *enforcement == Enforcement::Enforce)
    }
}

/// A name in parentheses, to follow an id.
pub(super) fn called(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(" ({})", printable(name)))
}

/// A name with its id in parentheses, or the id alone.
pub(super) fn with_id(name: Option<&str>, id: &CertificateId) -> String {
    match name {
        Some(name) => format!("{} ({id})", printable(name)),
        None => id.to_string(),
    }
}
