//! Where denials are only reported.

use std::collections::HashSet;

use countersign_types::{
    bundle::{BundleDenial, OrganizationBundle},
    certificate::{Enforcement, Scope},
    id::ProjectId,
};

/// Where denials are only reported.
#[derive(Default)]
pub(crate) struct Reported {
    everywhere: bool,
    projects: HashSet<ProjectId>,
}

/// Whether a denial is only reported.
pub(crate) fn is_reported(denial: &BundleDenial) -> bool {
    denial.enforcement == Enforcement::Report
}

impl Reported {
    /// Of a bundle.
    pub(crate) fn of(bundle: &OrganizationBundle) -> Self {
        let mut found = Self::default();
        for denial in bundle.denials.iter().filter(|denial| is_reported(denial)) {
            match &denial.project {
                None => found.everywhere = true,
                Some(project) => {
                    found.projects.insert(project.clone());
                }
            }
        }
        found
    }

    /// Whether it is anywhere.
    pub(crate) fn any(&self) -> bool {
        self.everywhere || !self.projects.is_empty()
    }

    /// Whether it is so for requests of a scope.
    pub(crate) fn at(&self, scope: &Scope) -> bool {
        let here = |project| self.projects.contains(project);
        self.everywhere || scope.project().is_some_and(here)
    }
}
