//! Certificate usage as tables show it: a line for each scope at which a certificate was used.

use countersign_client::Received;
use countersign_types::{
    certificate::ScopedCertificate,
    id::{CertificateId, ProjectId},
    usage::{CertificateUsage, CertificateUse, ScopeUsage, Windows},
};
use serde::Serialize;

use crate::output::{Cell, Row, expiry, moment, row, text_or_dash};

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

impl Row for CertificateUse {
    const HEAD: &'static [&'static str] = &[
        "leaf",
        "sha-256",
        "expires",
        "project",
        "key",
        "active at",
        "last seen",
        "requests 1/7/30 d",
    ];

    fn cells(&self) -> Vec<Cell> {
        let id = |id: Option<&str>| text_or_dash(id);
        row![
            self.leaf.subject.clone(),
            self.leaf.sha256.to_string(),
            expiry(self.leaf.expires_at),
            id(self.project_id.as_ref().map(AsRef::as_ref)),
            id(self.api_key_id.as_ref().map(AsRef::as_ref)),
            scope(self.active_at_project_id.as_ref()),
            moment(self.last_seen),
            windows(self.requests),
        ]
    }
}
