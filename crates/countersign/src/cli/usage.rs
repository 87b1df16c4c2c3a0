//! Certificate usage as tables show it: a line for each scope at which a certificate was used.

use countersign_client::{Client, Received};
use countersign_types::{
    certificate::ScopedCertificate,
    denial::Denial,
    id::CertificateId,
    refused_by::RefusalCounts,
    usage::{CertificateUsage, CertificateUse, ScopeUsage, Windows},
};
use serde::Serialize;

use super::names::{NamedRow, Names};
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

fn windows(windows: Windows) -> String {
    let Windows {
        days_1,
        days_7,
        days_30,
    } = windows;
    format!("{days_1} / {days_7} / {days_30}")
}

impl NamedRow for UsageLine {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "active at",
        "last used",
        "requests 1/7/30 d",
        "leaves 1/7/30 d",
    ];

    fn cells(&self, names: &Names) -> Vec<Cell> {
        let of = self.scope.as_ref();
        row![
            text_or_dash(self.name.as_deref()),
            self.id.to_string(),
            text_or_dash(of.map(|of| names.scope(of.project_id.as_ref()))),
            moment(of.map(|of| of.last_used)),
            text_or_dash(of.map(|of| windows(of.requests)).as_deref()),
            text_or_dash(of.map(|of| windows(of.leaves)).as_deref()),
        ]
    }
}

/// What a denial, a floor or a revocation list refused.
#[derive(Serialize)]
pub(super) struct RefusedLine {
    name: String,
    id: String,
    counts: RefusalCounts,
}

/// The lines of denials.
pub(super) fn of_denials(denials: Vec<Received<Denial>>) -> Vec<RefusedLine> {
    let line = |denial: Received<Denial>| RefusedLine {
        name: denial.name.clone(),
        id: denial.id.to_string(),
        counts: denial.usage.unwrap_or_default(),
    };
    denials.into_iter().map(line).collect()
}

/// The lines of an anchor's floor and its revocation lists.
pub(super) fn of_floor_and_lists(id: &CertificateId, usage: &CertificateUsage) -> Vec<RefusedLine> {
    let floor = usage.floor.map(|counts| RefusedLine {
        name: "floor".to_owned(),
        id: id.to_string(),
        counts,
    });
    let lists = usage.crls.iter().map(|list| RefusedLine {
        name: format!("list of {}", list.issuer),
        id: list.id.to_string(),
        counts: list.counts,
    });
    floor.into_iter().chain(lists).collect()
}

impl Row for RefusedLine {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "last refused",
        "refused 1/7/30 d",
        "last reported",
        "reported 1/7/30 d",
    ];

    fn cells(&self) -> Vec<Cell> {
        let counts = &self.counts;
        row![
            self.name.clone(),
            self.id.clone(),
            moment(counts.last_refused),
            windows(counts.refused),
            moment(counts.last_reported),
            windows(counts.reported),
        ]
    }
}

/// Shows who was let through, to people by name.
pub(super) async fn show_uses(
    client: &Client,
    uses: Vec<Received<CertificateUse>>,
    output: Output,
) -> CommandResult {
    let names = if output.is_table() {
        let called =
            |one: &'_ Received<CertificateUse>| (one.project_id.clone(), one.api_key_id.clone());
        let callers: Vec<_> = uses.iter().map(called).collect();
        let callers = callers
            .iter()
            .map(|(project, key)| (project.as_ref(), key.as_ref()));
        Names::of_callers(client, callers).await
    } else {
        Names::default()
    };
    output.list_of("uses", &names.beside(uses))
}

impl NamedRow for CertificateUse {
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

    fn cells(&self, names: &Names) -> Vec<Cell> {
        row![
            self.leaf.subject.clone(),
            text_or_dash(self.project_id.as_ref().map(|id| names.project(id))),
            text_or_dash(self.api_key_id.as_ref().map(|id| names.key(id))),
            moment(self.last_seen),
            windows(self.requests),
            names.scope(self.active_at_project_id.as_ref()),
            expiry(self.leaf.expires_at),
            self.leaf.sha256.to_string(),
        ]
    }
}
