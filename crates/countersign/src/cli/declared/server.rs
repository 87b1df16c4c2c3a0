//! Reads the parts of a server's state that a file can declare.

use countersign_client::{
    Client, Error, FederationRuleListParams, ListParams, ProjectListParams, Received,
};
use countersign_types::{
    UnixSeconds,
    assertion::Assertion,
    certificate::{ActiveCertificate, Scope, ScopedCertificate},
    denial::Denial,
    digest::Sha256,
    extension,
    federation_rule::FederationRule,
    id::{CertificateId, WorkloadIdentityProviderId},
    page::{MAX_LIMIT, Order},
    project::Project,
    workload_identity_provider::WorkloadIdentityProvider,
};
use countersign_verify::certificate::inspect;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{cli::scope::active_as, failure::CommandResult};

/// How many certificates are read concurrently.
const CONCURRENCY: usize = 8;

/// A certificate of the server.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) id: CertificateId,
    pub(super) name: Option<String>,
    pub(super) policy: Option<String>,
    /// The policy that is only reported.
    pub(super) reported: Option<String>,
    pub(super) expires_at: Option<UnixSeconds>,
    /// What was issued before is refused.
    pub(super) floor: Option<UnixSeconds>,
    /// What was issued before is only reported.
    pub(super) reported_floor: Option<UnixSeconds>,
    /// Whether it has revocation lists, or what a missing one means is set. No file can declare them.
    pub(super) has_lists: bool,
    /// Its PEM as uploaded; empty if the server returns none.
    pub(super) pem: String,
    /// SHA-256 of its DER, if the PEM can be read.
    pub(super) sha256: Option<Sha256>,
}

/// Whether the server has Countersign's extensions: policies, report-only activation, and setting
/// all of them in one step. OpenAI's own has none.
pub(super) async fn is_countersign(client: &Client) -> CommandResult<bool> {
    let has = client.countersign().extensions().await?;
    let needed = [
        extension::ENFORCEMENT,
        extension::CEL_POLICY,
        extension::REPORTED_POLICY,
        extension::MAKE_CHANGES,
    ];
    Ok(needed.iter().all(|one| has.iter().any(|each| each == one)))
}

/// Whether the server has assertions.
pub(super) async fn has_assertions(client: &Client) -> CommandResult<bool> {
    let has = client.countersign().extensions().await?;
    Ok(has.iter().any(|each| each == extension::ASSERTIONS))
}

/// Every assertion of the organization, oldest first.
pub(super) async fn assertions(client: &Client) -> Result<Vec<Received<Assertion>>, Error> {
    let stream = client.assertions().stream(&whole());
    stream.try_collect().await
}

/// Whether the server has denials and floors.
pub(super) async fn has_denials(client: &Client) -> CommandResult<bool> {
    let has = client.countersign().extensions().await?;
    Ok(has.iter().any(|each| each == extension::DENIALS))
}

/// Every denial of the organization, oldest first.
pub(super) async fn denials(client: &Client) -> Result<Vec<Received<Denial>>, Error> {
    let stream = client.denials().stream(&whole());
    stream.try_collect().await
}

/// A workload identity provider of the server, with its rules.
pub(super) struct KnownProvider {
    pub(super) provider: WorkloadIdentityProvider,
    /// Oldest first.
    pub(super) rules: Vec<FederationRule>,
}

/// Whether the server has workload identity providers of type `x509`.
pub(super) async fn has_workload_identity(client: &Client) -> CommandResult<bool> {
    let has = client.countersign().extensions().await?;
    let needed = extension::X509_WORKLOAD_IDENTITY;
    Ok(has.iter().any(|each| each == needed))
}

/// Every provider of the organization with its rules, oldest first.
pub(super) async fn providers(client: &Client) -> Result<Vec<KnownProvider>, Error> {
    let providers = client.workload_identity_providers();
    let listed: Vec<Received<WorkloadIdentityProvider>> =
        providers.stream(&whole()).try_collect().await?;
    let reads = listed.into_iter().map(|provider| async move {
        Ok::<_, Error>(KnownProvider {
            rules: rules(client, &provider.id).await?,
            provider: provider.into_inner(),
        })
    });
    stream::iter(reads)
        .buffered(CONCURRENCY)
        .try_collect()
        .await
}

/// Every rule of a provider, oldest first.
pub(super) async fn rules(
    client: &Client,
    provider: &WorkloadIdentityProviderId,
) -> Result<Vec<FederationRule>, Error> {
    let params = FederationRuleListParams {
        list: whole(),
        service_account_id: None,
    };
    let rules = client.federation_rules(provider);
    let rules: Vec<Received<FederationRule>> = rules.stream(&params).try_collect().await?;
    Ok(rules.into_iter().map(Received::into_inner).collect())
}

/// Every certificate of the organization, oldest first.
pub(super) async fn certificates(client: &Client) -> CommandResult<Vec<Known>> {
    let listed = list(client, &Scope::Organization).await?;
    let reads = listed.into_iter().map(|each| known(client, each));
    let read: Result<Vec<Known>, Error> = stream::iter(reads)
        .buffered(CONCURRENCY)
        .try_collect()
        .await;
    Ok(read?)
}

/// What is active at a scope.
pub(super) async fn active(
    client: &Client,
    scope: &Scope,
) -> Result<Vec<ActiveCertificate>, Error> {
    let listed = list(client, scope).await?;
    let mut active = Vec::new();
    for each in &listed {
        if let Some(enforcement) = active_as(client, each)? {
            active.push(ActiveCertificate {
                certificate_id: each.id.clone(),
                enforcement,
            });
        }
    }
    Ok(active)
}

/// The organization's projects.
pub(super) async fn projects(
    client: &Client,
    include_archived: bool,
) -> CommandResult<Vec<Received<Project>>> {
    let params = ProjectListParams {
        list: whole(),
        include_archived,
    };
    Ok(client.projects().stream(&params).try_collect().await?)
}

/// The organization's certificates with their state at a scope, oldest first.
pub(super) async fn list(
    client: &Client,
    scope: &Scope,
) -> Result<Vec<Received<ScopedCertificate>>, Error> {
    let stream = client.certificates().stream(scope, &whole());
    stream.try_collect().await
}

async fn known(client: &Client, listed: Received<ScopedCertificate>) -> Result<Known, Error> {
    let certificates = client.certificates();
    let read = certificates.retrieve_with_content(&listed.id).await?;
    let certificate = read.value.into_inner();
    let has_lists = certificate.crls.is_some() || certificate.crl_missing.is_some();
    let details = certificate.certificate_details;
    let pem = details.content.unwrap_or_default();
    Ok(Known {
        sha256: inspect(&pem, 0).facts.map(|facts| facts.sha256()),
        id: certificate.id,
        name: certificate.name,
        policy: certificate.cel_policy,
        reported: certificate.reported_policy,
        expires_at: details.expires_at,
        floor: certificate.refuse_issued_before,
        reported_floor: certificate.reported_refuse_issued_before,
        has_lists,
        pem,
    })
}

fn whole() -> ListParams {
    ListParams {
        limit: Some(MAX_LIMIT),
        order: Some(Order::Asc),
        ..ListParams::default()
    }
}
