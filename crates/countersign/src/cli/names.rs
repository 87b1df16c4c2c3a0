//! Names beside ids: people know things by their names, programs by their ids.

use std::collections::{BTreeSet, HashMap};

use countersign_client::{Client, Received};
use countersign_types::{
    id::{ApiKeyId, CertificateId, ProjectId},
    workload::WorkloadIdentity,
};
use serde::Serialize;

use super::{directory::names, noun::ProjectClient};
use crate::output::{Cell, Output, Row};

/// Of how many projects the keys' names are read: more are not looked at together.
const MOST_PROJECTS: usize = 20;

/// The names of an organization's things, as far as they have one and the key may read it.
#[derive(Debug, Default)]
pub(super) struct Names {
    certificates: HashMap<CertificateId, String>,
    projects: HashMap<ProjectId, String>,
    keys: HashMap<ApiKeyId, String>,
}

impl Names {
    /// The names of certificates and projects, if the output is for people.
    pub(super) async fn of_trust(client: &Client, output: Output) -> Self {
        if !output.is_table() {
            return Self::default();
        }
        Self {
            certificates: names(client).await.unwrap_or_default(),
            projects: names(client).await.unwrap_or_default(),
            keys: HashMap::new(),
        }
    }

    /// The names of certificates.
    pub(super) async fn of_certificates(client: &Client) -> Self {
        Self {
            certificates: names(client).await.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// The names of projects.
    pub(super) async fn of_projects(client: &Client) -> Self {
        Self {
            projects: names(client).await.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// The names of those who call: of projects, and of their keys or the organization's. Nothing is
    /// read where nobody calls.
    pub(super) async fn of_callers<'a>(
        client: &Client,
        callers: impl IntoIterator<Item = (Option<&'a ProjectId>, Option<&'a ApiKeyId>)>,
    ) -> Self {
        let callers: BTreeSet<_> = callers.into_iter().collect();
        if callers.is_empty() {
            return Self::default();
        }
        let with_key = callers.iter().filter(|(_, key)| key.is_some());
        let called: BTreeSet<Option<&ProjectId>> = with_key.map(|(project, _)| *project).collect();
        let mut keys = HashMap::new();
        for project in called.into_iter().take(MOST_PROJECTS) {
            let found = match project {
                None => names::<ApiKeyId>(client).await,
                Some(project) => {
                    let on = ProjectClient {
                        client: client.clone(),
                        project: project.clone(),
                    };
                    names::<ApiKeyId>(&on).await
                }
            };
            keys.extend(found.unwrap_or_default());
        }
        Self {
            certificates: HashMap::new(),
            projects: names(client).await.unwrap_or_default(),
            keys,
        }
    }

    /// The same of workloads.
    pub(super) async fn of_workloads<'a>(
        client: &Client,
        workloads: impl IntoIterator<Item = &'a WorkloadIdentity>,
    ) -> Self {
        let caller = |one: &'a WorkloadIdentity| (one.project.as_ref(), one.key.as_ref());
        Self::of_callers(client, workloads.into_iter().map(caller)).await
    }

    /// The names of whatever an audit event may be about, the keys that make changes among them.
    pub(super) async fn of_everything(client: &Client, output: Output) -> Self {
        if !output.is_table() {
            return Self::default();
        }
        Self {
            keys: names(client).await.unwrap_or_default(),
            ..Self::of_trust(client, output).await
        }
    }

    /// These names and those.
    pub(super) fn and(mut self, those: Self) -> Self {
        self.certificates.extend(those.certificates);
        self.projects.extend(those.projects);
        self.keys.extend(those.keys);
        self
    }

    pub(super) fn certificate<'a>(&'a self, id: &'a CertificateId) -> &'a str {
        self.certificates
            .get(id)
            .map_or(id.as_str(), String::as_str)
    }

    pub(super) fn project<'a>(&'a self, id: &'a ProjectId) -> &'a str {
        self.projects.get(id).map_or(id.as_str(), String::as_str)
    }

    pub(super) fn key<'a>(&'a self, id: &'a ApiKeyId) -> &'a str {
        self.keys.get(id).map_or(id.as_str(), String::as_str)
    }

    /// A scope: a project, or the organization.
    pub(super) fn scope<'a>(&'a self, project: Option<&'a ProjectId>) -> &'a str {
        project.map_or("organization", |id| self.project(id))
    }

    /// A certificate that another program names by its id.
    pub(super) fn certificate_called<'a>(&'a self, id: &'a str) -> &'a str {
        let name = self.certificates.get(&CertificateId::opaque(id));
        name.map_or(id, String::as_str)
    }

    /// The name of whatever has this id.
    pub(super) fn of_any(&self, id: &str) -> Option<&str> {
        let certificate = self.certificates.get(&CertificateId::opaque(id));
        let project = || self.projects.get(&ProjectId::opaque(id));
        let key = || self.keys.get(&ApiKeyId::opaque(id));
        certificate
            .or_else(project)
            .or_else(key)
            .map(String::as_str)
    }

    /// A server's sentence with names in the place of ids.
    pub(super) fn within(&self, text: &str) -> String {
        let certificates = self.certificates.iter();
        let certificates = certificates.map(|(id, name)| (id.as_str(), name));
        let projects = self.projects.iter().map(|(id, name)| (id.as_str(), name));
        let all = certificates.chain(projects);
        all.fold(text.to_owned(), |text, (id, name)| text.replace(id, name))
    }

    /// A thing with these names.
    pub(super) const fn named<T>(&self, of: T) -> Named<'_, T> {
        Named { of, names: self }
    }

    /// The same things, each with these names.
    pub(super) fn beside<T>(&self, all: impl IntoIterator<Item = T>) -> Vec<Named<'_, T>> {
        all.into_iter().map(|of| self.named(of)).collect()
    }
}

/// Something with the names of what it refers to.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Named<'a, T> {
    pub(super) of: T,
    #[serde(skip)]
    pub(super) names: &'a Names,
}

/// Something that a table can show with the names of what it refers to.
pub(super) trait NamedRow {
    /// The columns' names.
    const HEAD: &'static [&'static str];

    /// The columns' values.
    fn cells(&self, names: &Names) -> Vec<Cell>;
}

impl<T: NamedRow> NamedRow for Received<T> {
    const HEAD: &'static [&'static str] = T::HEAD;

    fn cells(&self, names: &Names) -> Vec<Cell> {
        T::cells(self, names)
    }
}

impl<T: NamedRow> NamedRow for &T {
    const HEAD: &'static [&'static str] = T::HEAD;

    fn cells(&self, names: &Names) -> Vec<Cell> {
        T::cells(self, names)
    }
}

impl<T: NamedRow> Row for Named<'_, T> {
    const HEAD: &'static [&'static str] = T::HEAD;

    fn cells(&self) -> Vec<Cell> {
        self.of.cells(self.names)
    }
}
