//! Where the things are that a command may name: on a server, in one of its projects, in the
//! database of this machine.

use std::{collections::HashMap, hash::Hash};

use countersign_client::{Client, Error, FederationRuleListParams, ItemStream, ProjectListParams};
use countersign_server::store::Store;
use countersign_types::{
    certificate::Scope,
    error::ErrorCode,
    id::{
        ApiKeyId, AssertionId, CertificateId, DenialId, FederationRuleId, GatewayId,
        OrganizationId, ProjectId, RotationId, ServiceAccountId, WebhookId,
        WorkloadIdentityProviderId,
    },
    rotation::RotationStatus,
};
use futures_util::TryStreamExt;

use super::{
    api::whole,
    noun::{ProjectClient, ProviderClient},
    reference::{Directory, Entry, Listing},
};
use crate::failure::CommandResult;

type Entries<I> = CommandResult<Listing<I>>;

/// Reads a list to its end. A server that has no such list and an answer in another form leave any
/// text that may be an id, a key that may not read it only ids of Countersign's own form.
async fn read<T, I>(listed: ItemStream<T>, entry: impl Fn(T) -> Entry<I>) -> Entries<I> {
    let listed: Result<Vec<T>, Error> = listed.try_collect().await;
    match listed {
        Ok(all) => Ok(Listing::All(all.into_iter().map(entry).collect())),
        Err(Error::Decode { .. }) => Ok(Listing::None),
        Err(error) if error.status() == Some(404) => Ok(Listing::None),
        Err(error) if may_not(&error) => Ok(Listing::Forbidden),
        Err(error) => Err(error.into()),
    }
}

/// Whether the key may not do it, which an id makes up for; another server need not say why.
fn may_not(error: &Error) -> bool {
    let is_scope = |code| code == ErrorCode::MissingScope;
    error.status() == Some(403) && error.code().is_none_or(is_scope)
}

/// The names of all things of a kind, as far as they have some and can be listed.
pub(super) async fn names<I: Eq + Hash>(
    on: &impl Directory<I>,
) -> CommandResult<HashMap<I, String>> {
    let all = on.entries().await?.known().into_iter();
    Ok(all.filter_map(|each| Some((each.id, each.name?))).collect())
}

impl Directory<CertificateId> for Client {
    async fn entries(&self) -> Entries<CertificateId> {
        let listed = self.certificates().stream(&Scope::Organization, &whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), each.name.clone())
        })
        .await
    }
}

impl Directory<ProjectId> for Client {
    async fn entries(&self) -> Entries<ProjectId> {
        let params = ProjectListParams {
            list: whole(),
            include_archived: true,
        };
        let listed = self.projects().stream(&params);
        read(listed, |each| Entry {
            id: each.id.clone(),
            name: each.name.clone(),
            retired: each.archived_at.is_some(),
        })
        .await
    }
}

/// Admin keys.
impl Directory<ApiKeyId> for Client {
    async fn entries(&self) -> Entries<ApiKeyId> {
        let listed = self.admin_api_keys().stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), each.name.clone())
        })
        .await
    }
}

impl Directory<AssertionId> for Client {
    async fn entries(&self) -> Entries<AssertionId> {
        let listed = self.assertions().stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), Some(each.name.clone()))
        })
        .await
    }
}

impl Directory<DenialId> for Client {
    async fn entries(&self) -> Entries<DenialId> {
        let listed = self.denials().stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), Some(each.name.clone()))
        })
        .await
    }
}

impl Directory<WebhookId> for Client {
    async fn entries(&self) -> Entries<WebhookId> {
        let listed = self.webhooks().stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), Some(each.url.reveal().to_owned()))
        })
        .await
    }
}

impl Directory<WorkloadIdentityProviderId> for Client {
    async fn entries(&self) -> Entries<WorkloadIdentityProviderId> {
        let listed = self.workload_identity_providers().stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), Some(each.name.clone()))
        })
        .await
    }
}

impl Directory<FederationRuleId> for ProviderClient {
    async fn entries(&self) -> Entries<FederationRuleId> {
        let params = FederationRuleListParams {
            list: whole(),
            service_account_id: None,
        };
        read(self.rules().stream(&params), |each| {
            Entry::new(each.id.clone(), each.name.clone())
        })
        .await
    }
}

impl Directory<GatewayId> for Client {
    async fn entries(&self) -> Entries<GatewayId> {
        let known = self.countersign().gateways().await?.value.gateways;
        let entry = |each: &countersign_types::bundle::Gateway| {
            Entry::new(each.id.clone(), Some(each.name.clone()))
        };
        Ok(Listing::All(known.iter().map(|each| entry(each)).collect()))
    }
}

/// A rotation is called as the certificate that it brings in.
impl Directory<RotationId> for Client {
    async fn entries(&self) -> Entries<RotationId> {
        let names = names::<CertificateId>(self).await?;
        read(self.rotations().stream(&whole()), |each| Entry {
            id: each.id.clone(),
            name: names.get(&each.new_certificate_id).cloned(),
            retired: each.status != RotationStatus::InProgress,
        })
        .await
    }
}

impl Directory<ApiKeyId> for ProjectClient {
    async fn entries(&self) -> Entries<ApiKeyId> {
        let listed = self.client.api_keys(&self.project).stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), Some(each.name.clone()))
        })
        .await
    }
}

impl Directory<ServiceAccountId> for ProjectClient {
    async fn entries(&self) -> Entries<ServiceAccountId> {
        let listed = self.client.service_accounts(&self.project).stream(&whole());
        read(listed, |each| {
            Entry::new(each.id.clone(), Some(each.name.clone()))
        })
        .await
    }
}

impl Directory<OrganizationId> for Store {
    async fn entries(&self) -> Entries<OrganizationId> {
        let all = self.list_organizations().await?.into_iter();
        Ok(Listing::All(
            all.map(|each| Entry::new(each.id, Some(each.name)))
                .collect(),
        ))
    }
}

/// Gateway keys.
impl Directory<ApiKeyId> for Store {
    async fn entries(&self) -> Entries<ApiKeyId> {
        let all = self.list_gateway_keys().await?.into_iter();
        Ok(Listing::All(
            all.map(|each| Entry::new(each.id, Some(each.name)))
                .collect(),
        ))
    }
}
