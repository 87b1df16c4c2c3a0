//! Certificate usage as tables show it: a line for each scope at which a certificate was used.

use std::collections::{BTreeSet, HashMap};

use countersign_client::{Client, Received};
use countersign_types::{
    certificate::ScopedCertificate,
    id::{ApiKeyId, CertificateId, ProjectId},
    usage::{CertificateUsage, CertificateUse, ScopeUsage, Windows},
};
use serde::Serialize;

use super::{directory::names, noun::ProjectClient};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, expiry, moment, row, text_or_dash},
};

/// A certificate's usage at one scope; without a scope, it was never used.
#[derive(Serialize)]
pub(super) struct UsageLine {
    id: CertificateId,
    name: Option<String>,
    scope: Option<ScopeUsage>,
}

/// The lines of a certificate.
pub(super) fn lines(
    id: &CertificateId,
    name: Option<&str>,
    usage: Option<&CertificateUsage>,
) -> Vec<UsageLine> {
    let line = |scope| UsageLine {
        id: id.clone(),
        name: name.map(str::to_owned),
        scope,
    };
    let scopes = usage.map_or(&[][..], |usage| &usage.scopes);
    if scopes.is_empty() {
        return vec![line(None)];
    }
    scopes.iter().cloned().map(Some).map(line).collect()
}

/// The lines of a list.
pub(super) fn all_lines(certificates: &[Received<ScopedCertificate>]) -> Vec<UsageLine> {
    let of = |each: &Received<ScopedCertificate>| {
        lines(&each.id, each.name.as_deref(), each.usage.as_ref())
    };
    certificates.iter().flat_map(of).collect()
}

/// A scope as tables show it.
fn scope(project: Option<&ProjectId>) -> String {
    project.map_or_else(|| "organization".to_owned(), ToString::to_string)
}

fn windows(windows: Windows) -> String {
    let Windows {
        days_1,
        days_7,
        days_30,
    } = windows;
    format!("{days_1} / {days_7} / {days_30}")
}

impl Row for UsageLine {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "active at",
        "last used",
        "requests 1/7/30 d",
        "leaves 1/7/30 d",
    ];

    fn cells(&self) -> Vec<Cell> {
        let of = self.scope.as_ref();
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            text_or_dash(of.map(|of| scope(of.project_id.as_ref())).as_deref()),
            moment(of.map(|of| of.last_used)),
            text_or_dash(of.map(|of| windows(of.requests)).as_deref()),
            text_or_dash(of.map(|of| windows(of.leaves)).as_deref()),
        ]
    }
}

/// A use with the names of those who called.
#[derive(Serialize)]
#[serde(transparent)]
struct NamedUse<'a> {
    one: Received<CertificateUse>,
    #[serde(skip)]
    names: &'a Names,
}

/// The names of projects, and of their keys.
#[derive(Default)]
struct Names {
    projects: HashMap<ProjectId, String>,
    keys: HashMap<ApiKeyId, String>,
}

impl Names {
    /// The names of all that are in a list, as far as they can be read.
    async fn of(client: &Client, uses: &[Received<CertificateUse>]) -> Self {
        // Names are a courtesy: who may not read them sees ids.
        let projects = names::<ProjectId>(client).await.unwrap_or_default();
        let called: BTreeSet<&ProjectId> = uses
            .iter()
            .filter_map(|one| one.project_id.as_ref())
            .collect();
        let mut keys = HashMap::new();
        for project in called {
            let on = ProjectClient {
                client: client.clone(),
                project: project.clone(),
            };
            keys.extend(names::<ApiKeyId>(&on).await.unwrap_or_default());
        }
        Self { projects, keys }
    }

    fn project(&self, id: &ProjectId) -> String {
        self.projects
            .get(id)
            .map_or_else(|| id.to_string(), Clone::clone)
    }

    fn key(&self, id: &ApiKeyId) -> String {
        self.keys
            .get(id)
            .map_or_else(|| id.to_string(), Clone::clone)
    }
}

/// Shows who was let through, to people by name.
pub(super) async fn show_uses(
    client: &Client,
    uses: Vec<Received<CertificateUse>>,
    output: Output,
) -> CommandResult {
    let names = if output.is_table() {
        Names::of(client, &uses).await
    } else {
        Names::default()
    };
    let named = uses.into_iter().map(|one| NamedUse { one, names: &names });
    output.list(&named.collect::<Vec<_>>())
}

impl Row for NamedUse<'_> {
    const HEAD: &'static [&'static str] = &[
        "leaf",
        "project",
        "key",
        "last seen",
        "requests 1/7/30 d",
        "active at",
        "expires",
        "sha-256",
    ];

    fn cells(&self) -> Vec<Cell> {
        let Self { one, names } = self;
        let project = one.project_id.as_ref().map(|id| names.project(id));
        let key = one.api_key_id.as_ref().map(|id| names.key(id));
        let at = one.active_at_project_id.as_ref();
        row![
            one.leaf.subject.clone(),
            text_or_dash(project.as_deref()),
            text_or_dash(key.as_deref()),
            moment(one.last_seen),
            windows(one.requests),
            at.map_or_else(|| "organization".to_owned(), |id| names.project(id)),
            expiry(one.leaf.expires_at),
            one.leaf.sha256.to_string(),
        ]
    }
}
