//! `countersign status`: what an organization enforces and where, at a glance.

use std::{cmp::Reverse, collections::HashMap, fmt::Display};

use clap::Args;
use countersign_client::{Client, Error, Received};
use countersign_types::{
    UnixSeconds,
    bundle::{Gateway, GatewayState},
    certificate::{Enforcement, Scope, ScopedCertificate},
    expiry::Expiring,
    extension,
    id::{CertificateId, ProjectId},
    or_unknown::OrUnknown,
    refusal::Refusal,
    rotation::{Rotation, RotationStatus},
};
use futures_util::TryStreamExt;
use serde::Serialize;

use super::{
    api::{ApiOptions, block_on, whole},
    directory::names,
    gateway,
    guard::supports,
    names::Names,
};
use crate::{
    clock,
    failure::CommandResult,
    output::{Cell, Output, Row, Tone, expiry, moment, row, text_or_dash},
};

/// How far back refusals are shown, in seconds.
const AN_HOUR: UnixSeconds = 60 * 60;
/// How many days ahead what expires is shown.
const WITHIN_DAYS: u64 = 30;

/// Show what is enforced where, the gateways, rotations, what expires and what is refused
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    api: ApiOptions,
}

/// All that is shown. What the server does not have, or the key may not read, is null.
#[derive(Serialize)]
struct Overview {
    /// Every scope with an active certificate, and each certificate there.
    active: Vec<Anchor>,
    /// The revision of the latest change.
    revision: Option<u64>,
    gateways: Option<Vec<GatewayLine>>,
    rotations: Option<Vec<RotationLine>>,
    /// What expires within 30 days.
    expiring: Option<Vec<Received<Expiring>>>,
    /// What was refused within the last hour.
    refusals: Option<Vec<RefusalLine>>,
}

/// A certificate that is active at a scope.
#[derive(Serialize)]
struct Anchor {
    /// Null for the organization.
    project_id: Option<ProjectId>,
    project: Option<String>,
    certificate_id: CertificateId,
    certificate: Option<String>,
    enforcement: OrUnknown<Enforcement>,
    expires_at: Option<UnixSeconds>,
}

/// A gateway, and whether it enforces the latest change.
#[derive(Serialize)]
struct GatewayLine {
    #[serde(flatten)]
    gateway: Received<Gateway>,
    current: bool,
}

#[derive(Serialize)]
struct RotationLine {
    #[serde(flatten)]
    rotation: Received<Rotation>,
    old_certificate: Option<String>,
    new_certificate: Option<String>,
}

#[derive(Serialize)]
struct RefusalLine {
    #[serde(flatten)]
    refusal: Received<Refusal>,
    project: Option<String>,
    api_key: Option<String>,
}

impl Status {
    pub(crate) fn run(self, output: Output) -> CommandResult {
        let client = self.api.client()?;
        let overview = block_on(Overview::read(&client))?;
        if output.is_table() {
            return overview.show(client.base_url(), output);
        }
        output.value(&overview)
    }
}

/// What the server does not have and what the key may not read is not known.
fn if_allowed<T>(read: Result<T, Error>) -> CommandResult<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.status(), Some(403..=405)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Overview {
    async fn read(client: &Client) -> CommandResult<Self> {
        let projects = names::<ProjectId>(client).await?;
        let known = if_allowed(client.countersign().gateways().await)?;
        let revision = known.as_ref().map(|known| known.value.revision);
        let latest = revision.unwrap_or_default();
        let gateways = known.map(|known| {
            let lines = known.value.gateways.into_iter().map(|gateway| GatewayLine {
                current: !gateway.is_pending(latest),
                gateway,
            });
            lines.collect()
        });
        let expiring = client.certificates().list_expiring(Some(WITHIN_DAYS)).await;
        Ok(Self {
            active: active(client, &projects).await?,
            revision,
            gateways,
            rotations: rotations(client).await?,
            expiring: if_allowed(expiring)?.map(|list| list.value.data),
            refusals: refusals(client).await?,
        })
    }

    fn show(&self, server: impl Display, output: Output) -> CommandResult {
        output.text(&match self.revision {
            Some(revision) => format!("{server}, revision {revision}\n"),
            None => format!("{server}\n"),
        })?;
        let nothing = "nothing; a key is enough everywhere";
        section("active", Some(&self.active), nothing, output)?;
        section("gateways", self.gateways.as_ref(), "none", output)?;
        let rotations = self.rotations.as_ref();
        section("rotations under way", rotations, "none", output)?;
        let within = format!("expires within {WITHIN_DAYS} days");
        section(&within, self.expiring.as_ref(), "nothing", output)?;
        let refusals = self.refusals.as_ref();
        section("refused in the last hour", refusals, "nothing", output)?;
        match refusals {
            Some(all) if !all.is_empty() => output.text("why, in full: countersign explain\n"),
            _ => Ok(()),
        }
    }
}

/// A heading, and a table below it; or in one line that there is nothing.
fn section<T: Row + Serialize>(
    heading: &str,
    entries: Option<&Vec<T>>,
    none: &str,
    output: Output,
) -> CommandResult {
    match entries {
        None => output.text(&format!("\n{heading}: not known to this key\n")),
        Some(all) if all.is_empty() => output.text(&format!("\n{heading}: {none}\n")),
        Some(all) => {
            output.text(&format!("\n{heading}: {}\n", all.len()))?;
            output.list(all)
        }
    }
}

/// What is active, the organization first. A server that does not tell all scopes at once is asked
/// for the organization's.
async fn active(
    client: &Client,
    projects: &HashMap<ProjectId, String>,
) -> CommandResult<Vec<Anchor>> {
    let (certificates, scope) = (client.certificates(), Scope::Organization);
    let listed = if supports(client, extension::ACTIVE_AT).await? {
        certificates.stream_with_active_at(&scope, &whole())
    } else {
        certificates.stream(&scope, &whole())
    };
    let listed: Vec<Received<ScopedCertificate>> = listed.try_collect().await?;
    let mut active: Vec<Anchor> = listed
        .iter()
        .flat_map(|certificate| anchors(certificate, projects))
        .collect();
    active.sort_by(|a, b| (&a.project, &a.project_id).cmp(&(&b.project, &b.project_id)));
    Ok(active)
}

fn anchors(certificate: &ScopedCertificate, projects: &HashMap<ProjectId, String>) -> Vec<Anchor> {
    let anchor = |project_id: Option<ProjectId>, enforcement| Anchor {
        project: project_id.as_ref().and_then(|id| projects.get(id).cloned()),
        project_id,
        certificate_id: certificate.id.clone(),
        certificate: certificate.name.clone(),
        enforcement,
        expires_at: certificate.certificate_details.expires_at,
    };
    match &certificate.active_at {
        Some(scopes) => scopes
            .iter()
            .map(|at| anchor(at.project_id.clone(), at.enforcement.clone()))
            .collect(),
        None if certificate.active => {
            vec![anchor(
                None,
                certificate.enforcement.clone().unwrap_or_default(),
            )]
        }
        None => Vec::new(),
    }
}

/// The rotations that are not ended.
async fn rotations(client: &Client) -> CommandResult<Option<Vec<RotationLine>>> {
    let read: Result<Vec<Received<Rotation>>, Error> =
        client.rotations().stream(&whole()).try_collect().await;
    let Some(mut all) = if_allowed(read)? else {
        return Ok(None);
    };
    all.retain(|each| each.status == RotationStatus::InProgress);
    if all.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let names = names::<CertificateId>(client).await?;
    let lines = all.into_iter().map(|rotation| RotationLine {
        old_certificate: names.get(&rotation.old_certificate_id).cloned(),
        new_certificate: names.get(&rotation.new_certificate_id).cloned(),
        rotation,
    });
    Ok(Some(lines.collect()))
}

/// What was refused lately, newest first.
async fn refusals(client: &Client) -> CommandResult<Option<Vec<RefusalLine>>> {
    let read: Result<Vec<Received<Refusal>>, Error> =
        client.refusals().stream(&whole()).try_collect().await;
    let since = clock::unix_seconds().saturating_sub(AN_HOUR);
    let Some(mut all) = if_allowed(read)? else {
        return Ok(None);
    };
    all.retain(|each| each.last_seen >= since);
    all.sort_by_key(|each| Reverse(each.last_seen));
    let caller = |each: &'_ Received<Refusal>| (each.project_id.clone(), each.api_key_id.clone());
    let callers: Vec<_> = all.iter().map(caller).collect();
    let callers = callers
        .iter()
        .map(|(project, key)| (project.as_ref(), key.as_ref()));
    let names = Names::of_callers(client, callers).await;
    let lines = all.into_iter().map(|refusal| RefusalLine {
        project: named(refusal.project_id.as_ref(), &names),
        api_key: named(refusal.api_key_id.as_ref(), &names),
        refusal,
    });
    Ok(Some(lines.collect()))
}

fn named(id: Option<&impl AsRef<str>>, names: &Names) -> Option<String> {
    names.of_any(id?.as_ref()).map(str::to_owned)
}

impl Row for Anchor {
    const HEAD: &'static [&'static str] = &["at", "certificate", "id", "enforcement", "expires"];

    fn cells(&self) -> Vec<Cell> {
        let id = self.project_id.as_ref().map(ProjectId::as_str);
        let tone = match self.enforcement.known() {
            Some(Enforcement::Enforce) => Tone::Good,
            _ => Tone::Warning,
        };
        row![
            self.project.as_deref().or(id).unwrap_or("organization"),
            text_or_dash(self.certificate.as_deref()),
            self.certificate_id.to_string(),
            Cell::State(tone, self.enforcement.to_string()),
            expiry(self.expires_at),
        ]
    }
}

impl Row for GatewayLine {
    const HEAD: &'static [&'static str] = &["name", "id", "state", "revision", "seen"];

    fn cells(&self) -> Vec<Cell> {
        let gateway = &self.gateway;
        let (tone, state) = match gateway.state.known() {
            Some(GatewayState::Live) if !gateway.lacks.is_empty() => {
                (Tone::Bad, "of an earlier version".to_owned())
            }
            Some(GatewayState::Live) if !gateway.durable => {
                (Tone::Warning, "cannot write its disk".to_owned())
            }
            Some(GatewayState::Live) if !self.current => (Tone::Warning, "behind".to_owned()),
            Some(GatewayState::Live) => (Tone::Good, "up to date".to_owned()),
            _ => (Tone::Bad, gateway.state.to_string()),
        };
        row![
            gateway::name(gateway),
            gateway.id.to_string(),
            Cell::State(tone, state),
            gateway.revision.to_string(),
            moment(gateway.seen_at),
        ]
    }
}

impl Row for RotationLine {
    const HEAD: &'static [&'static str] = &["from", "to", "id", "new one", "started"];

    fn cells(&self) -> Vec<Cell> {
        let rotation = &self.rotation;
        let (old, new) = (&self.old_certificate, &self.new_certificate);
        row![
            old.as_deref()
                .unwrap_or(rotation.old_certificate_id.as_str()),
            new.as_deref()
                .unwrap_or(rotation.new_certificate_id.as_str()),
            rotation.id.to_string(),
            rotation.enforcement.to_string(),
            moment(rotation.created_at),
        ]
    }
}

impl Row for RefusalLine {
    const HEAD: &'static [&'static str] = &["client", "code", "project", "key", "last seen"];

    fn cells(&self) -> Vec<Cell> {
        let refusal = &self.refusal;
        let client = match &refusal.leaf {
            Some(leaf) if leaf.subject.is_empty() => leaf.sha256.to_string(),
            Some(leaf) => leaf.subject.clone(),
            None => "no certificate".to_owned(),
        };
        let id = refusal.project_id.as_ref().map(ProjectId::as_str);
        let key = refusal.api_key_id.as_ref().map(AsRef::as_ref);
        row![
            client,
            Cell::State(Tone::Bad, refusal.code.to_string()),
            text_or_dash(self.project.as_deref().or(id)),
            text_or_dash(self.api_key.as_deref().or(key)),
            moment(refusal.last_seen),
        ]
    }
}
