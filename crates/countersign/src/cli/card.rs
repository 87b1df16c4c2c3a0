//! A certificate as `certificate retrieve` shows it to people: with what is in it, where it is
//! active, and when it was last used.

use std::collections::HashMap;

use countersign_client::{Client, Include, Received};
use countersign_types::{
    certificate::{ActiveAt, Certificate, Enforcement},
    extension,
    id::{CertificateId, ProjectId},
};
use countersign_verify::certificate::{Facts, inspect};
use serde::Serialize;

use super::{crl, directory::names, guard::supports};
use crate::{
    failure::CommandResult,
    output::{Cell, Output, Row, Tone, expiry, lines_or_dash, moment, row, text_or_dash},
};

/// What is shown of a certificate.
#[derive(Serialize)]
#[serde(transparent)]
struct Card {
    certificate: Received<Certificate>,
    /// What its PEM says, if the server returned one that can be read.
    #[serde(skip)]
    facts: Option<Facts>,
    #[serde(skip)]
    active: Cell,
}

/// Reads what a server knows of a certificate, and shows it as a table.
pub(super) async fn show(client: &Client, id: &CertificateId, output: Output) -> CommandResult {
    let mut include = vec![Include::Content];
    if supports(client, extension::ACTIVE_AT).await? {
        include.extend([Include::ActiveAt, Include::Usage]);
    }
    let certificates = client.certificates();
    let certificate = certificates.retrieve_including(id, &include).await?.value;
    let pem = certificate.certificate_details.content.as_deref();
    let facts = pem.and_then(|pem| inspect(pem, 0).facts);
    let active = match &certificate.active_at {
        Some(scopes) => active(client, scopes).await?,
        None => "-".into(),
    };
    output.one(&Card {
        certificate,
        facts,
        active,
    })
}

/// The scopes by their names.
async fn active(client: &Client, scopes: &[ActiveAt]) -> CommandResult<Cell> {
    let in_projects = scopes.iter().any(|scope| scope.project_id.is_some());
    let names = if in_projects {
        names::<ProjectId>(client).await?
    } else {
        HashMap::new()
    };
    let named = scopes.iter().map(|scope| {
        let at = match &scope.project_id {
            None => "organization",
            Some(id) => names.get(id).map_or(id.as_str(), String::as_str),
        };
        match scope.enforcement.known() {
            Some(Enforcement::Enforce) => at.to_owned(),
            _ => format!("{at} ({})", scope.enforcement),
        }
    });
    let named: Vec<String> = named.collect();
    Ok(toned(scopes, named.join(", ")))
}

/// Where a certificate is active, in a few words: `organization, 2 projects, report: 1`.
pub(super) fn summary(scopes: &[ActiveAt]) -> Cell {
    let at = |enforced: bool, organization: bool| {
        let fits = |scope: &&ActiveAt| {
            (scope.enforcement == Enforcement::Enforce) == enforced
                && scope.project_id.is_none() == organization
        };
        scopes.iter().filter(fits).count()
    };
    let mut words = Vec::new();
    if at(true, true) > 0 {
        words.push("organization".to_owned());
    }
    match at(true, false) {
        0 => {}
        1 => words.push("1 project".to_owned()),
        count => words.push(format!("{count} projects")),
    }
    if at(false, true) > 0 {
        words.push("report: organization".to_owned());
    }
    match at(false, false) {
        0 => {}
        count => words.push(format!("report: {count}")),
    }
    toned(scopes, words.join(", "))
}

fn toned(scopes: &[ActiveAt], words: String) -> Cell {
    if scopes.is_empty() {
        return "no".into();
    }
    let enforced = |scope: &ActiveAt| scope.enforcement == Enforcement::Enforce;
    let tone = if scopes.iter().any(enforced) {
        Tone::Good
    } else {
        Tone::Warning
    };
    Cell::State(tone, words)
}

impl Row for Card {
    const HEAD: &'static [&'static str] = &[
        "name",
        "id",
        "subject",
        "issuer",
        "sha-256",
        "key",
        "valid from",
        "expires",
        "active",
        "last used",
        "policy",
        "reported policy",
        "refuses before",
        "reports before",
        "revocation lists",
        "created",
    ];

    fn cells(&self) -> Vec<Cell> {
        let Certificate {
            id,
            name,
            certificate_details: details,
            cel_policy,
            reported_policy,
            refuse_issued_before,
            reported_refuse_issued_before,
            usage,
            created_at,
            ..
        } = &*self.certificate;
        let fact = |of: fn(&Facts) -> String| text_or_dash(self.facts.as_ref().map(of).as_deref());
        row![
            text_or_dash(name.as_deref()),
            id.to_string(),
            fact(|facts| facts.subject().to_owned()),
            fact(|facts| facts.issuer().to_owned()),
            fact(|facts| facts.sha256().to_string()),
            fact(|facts| facts.key_algorithm().to_owned()),
            moment(details.valid_at),
            expiry(details.expires_at),
            self.active.clone(),
            match usage {
                Some(usage) if usage.last_used.is_none() => "never".into(),
                Some(usage) => moment(usage.last_used),
                None => Cell::from("-"),
            },
            lines_or_dash(cel_policy.as_deref()),
            lines_or_dash(reported_policy.as_deref()),
            moment(*refuse_issued_before),
            moment(*reported_refuse_issued_before),
            crl::summary(&self.certificate),
            moment(*created_at),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_active_is_said_in_a_few_words() {
        let at = |project: Option<&str>, enforcement: Enforcement| ActiveAt {
            project_id: project.map(ProjectId::opaque),
            enforcement: enforcement.into(),
        };
        use Enforcement::{Enforce, Report};
        for (scopes, said) in [
            (vec![], "no"),
            (vec![at(None, Enforce)], "organization"),
            (vec![at(Some("a"), Enforce)], "1 project"),
            (
                vec![
                    at(Some("a"), Enforce),
                    at(Some("b"), Enforce),
                    at(Some("c"), Report),
                ],
                "2 projects, report: 1",
            ),
            (vec![at(None, Report)], "report: organization"),
        ] {
            let (Cell::Text(words) | Cell::State(_, words)) = summary(&scopes) else {
                panic!("a time");
            };
            assert_eq!(words, said);
        }
    }
}
