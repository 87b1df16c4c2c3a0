//! What an organization may have, exactly, from two stores on one database.

use countersign_server::store::{
    Change, NewAdminApiKey, NewAssertion, NewDenial, NewProject, NewServiceAccount, NewWebhook,
    PageRequest, Quota, Quotas, Store, StoreError, WriteTx,
};
use countersign_types::{
    assertion::Expectation,
    audit::Actor,
    certificate::{Enforcement, Scope},
    denial::DenialMatch,
    digest::Sha256,
    federation_rule::{FederationRuleCreateRequest, MatcherValue},
    id::{OrganizationId, ProjectId},
    secret::Secret,
    workload_identity_provider::{
        WorkloadIdentityProviderCreateRequest, WorkloadIdentityProviderType,
    },
};
use countersign_verify::presented::Presented;
use tokio::task::JoinSet;

use crate::setting::{on_each, on_each_shared, organization, project};

const FEW: Quotas = Quotas {
    api_keys: 4,
    projects: 3,
    service_accounts: 5,
    webhooks: 2,
    assertions: 3,
    denials: 3,
    workload_identity_providers: 3,
    federation_rules: 4,
};

fn provider() -> WorkloadIdentityProviderCreateRequest {
    WorkloadIdentityProviderCreateRequest {
        kind: WorkloadIdentityProviderType::X509,
        name: "mesh".to_owned(),
        description: None,
        enabled: None,
        attribute_transformations: Vec::new(),
        attribute_conditions: None,
    }
}

/// One whose name no other has.
fn assertion(number: u64) -> NewAssertion {
    NewAssertion {
        name: number.to_string(),
        reason: None,
        scope: Scope::Organization,
        expect: Expectation::Permit,
        code: None,
        presented: Presented::default(),
    }
}

/// Creates one more rule, of the first provider and the first service account.
async fn another_rule(
    store: &Store,
    organization: &OrganizationId,
    project: &ProjectId,
) -> Result<u64, StoreError> {
    let page = PageRequest::default();
    let providers = store.list_workload_identity_providers(organization, &page);
    let providers = providers.await?;
    let accounts = store.list_service_accounts(organization, project, &page);
    let new = FederationRuleCreateRequest {
        attribute_matchers: [("openai.subject".to_owned(), MatcherValue::Bool(true))].into(),
        project_id: project.clone(),
        service_account_id: accounts.await?.data[0].id.clone(),
        name: None,
        description: None,
        enabled: None,
        permissions: None,
    };
    let mut tx = store.write(organization, Actor::Operator).await?;
    let made = tx
        .create_federation_rule(&providers.data[0].id, new)
        .await?;
    Ok(tx.commit(made.events).await?.revision)
}

fn denial(name: String) -> NewDenial {
    NewDenial {
        name,
        reason: None,
        matches: DenialMatch::LeafSha256(Sha256::ZERO),
        scope: Scope::Organization,
        enforcement: Enforcement::Enforce,
        expires_at: None,
    }
}

/// Creates one more.
async fn create(
    store: &Store,
    organization: &OrganizationId,
    project: &ProjectId,
    what: Quota,
) -> Result<u64, StoreError> {
    fn events<T>(change: Change<T>) -> Vec<countersign_types::audit::AuditEvent> {
        change.events
    }
    let mut tx: WriteTx = store.write(organization, Actor::Operator).await?;
    let name = "one more".to_owned();
    let events = match what {
        Quota::ApiKeys => {
            let new = NewAdminApiKey {
                name,
                permissions: Vec::new(),
                expires_in_seconds: None,
            };
            events(tx.create_admin_api_key(new).await?)
        }
        Quota::Projects => {
            let new = NewProject {
                name,
                residency: None,
                external_key_id: None,
            };
            events(tx.create_project(new).await?)
        }
        Quota::ServiceAccounts => {
            let new = NewServiceAccount {
                name,
                with_key: false,
            };
            events(tx.create_service_account(project, new).await?)
        }
        Quota::Webhooks => {
            let new = NewWebhook {
                url: Secret::new("https://example.com/"),
                host: "example.com".to_owned(),
            };
            events(tx.create_webhook(new).await?)
        }
        Quota::Assertions => {
            let number = tx.organization_revision().await?;
            events(tx.create_assertion(assertion(number)).await?)
        }
        Quota::Denials => events(tx.create_denial(denial(name)).await?),
        Quota::WorkloadIdentityProviders => {
            events(tx.create_workload_identity_provider(provider()).await?)
        }
        Quota::FederationRules => {
            drop(tx);
            return another_rule(store, organization, project).await;
        }
    };
    Ok(tx.commit(events).await?.revision)
}

#[test]
fn a_quota_is_exact_under_concurrency_and_each_organizations_own() {
    on_each_shared(async |setting| {
        let stores = [
            setting.open().await.with_quotas(FEW),
            setting.open().await.with_quotas(FEW),
        ];
        let mut places = Vec::new();
        for _ in 0..2 {
            let organization = organization(&stores[0]).await;
            let project = project(&stores[0], &organization, "p").await.id;
            places.push((organization, project));
        }
        // An admin key and a project are there.
        for (what, most, more) in [
            (Quota::ApiKeys, 4, 3),
            (Quota::Projects, 3, 2),
            (Quota::ServiceAccounts, 5, 5),
            (Quota::Webhooks, 2, 2),
            // Once there are assertions, each would have to be judged.
            (Quota::Denials, 3, 3),
            (Quota::Assertions, 3, 3),
            (Quota::WorkloadIdentityProviders, 3, 3),
            (Quota::FederationRules, 4, 4),
        ] {
            let mut writers = JoinSet::new();
            for number in 0..24 {
                let store = stores[number % 2].clone();
                let (organization, project) = places[number / 2 % 2].clone();
                writers.spawn(async move { create(&store, &organization, &project, what).await });
            }
            let mut created = 0;
            while let Some(done) = writers.join_next().await {
                match done.unwrap() {
                    Ok(_) => created += 1,
                    Err(StoreError::QuotaReached { quota, most: said }) => {
                        assert_eq!((quota, said), (what, most));
                    }
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(created, 2 * more, "{what}");
        }
    });
}

#[test]
fn what_is_deleted_leaves_room_and_an_account_is_not_made_without_its_key() {
    on_each(async |setting| {
        let store = setting.open().await.with_quotas(FEW);
        let organization = organization(&store).await;
        let project = project(&store, &organization, "p").await.id;
        for _ in 0..3 {
            create(&store, &organization, &project, Quota::ApiKeys)
                .await
                .unwrap();
        }
        let new = NewServiceAccount {
            name: "billing".to_owned(),
            with_key: true,
        };
        let mut tx = store.write(&organization, Actor::Operator).await.unwrap();
        let refused = tx.create_service_account(&project, new.clone()).await;
        drop(tx);
        let quota = Quota::ApiKeys;
        assert!(
            matches!(refused, Err(StoreError::QuotaReached { quota: found, most: 4 }) if found == quota)
        );
        let keys = store
            .list_admin_api_keys(&organization, &Default::default())
            .await
            .unwrap();
        let mut tx = store.write(&organization, Actor::Operator).await.unwrap();
        let change = tx.delete_admin_api_key(&keys.data[0].id).await.unwrap();
        tx.commit(change.events).await.unwrap();
        let mut tx = store.write(&organization, Actor::Operator).await.unwrap();
        let change = tx.create_service_account(&project, new).await.unwrap();
        tx.commit(change.events).await.unwrap();
        // A higher quota is in force at once, and a lower one takes nothing away.
        let none = Quotas { api_keys: 1, ..FEW };
        let lower = store.clone().with_quotas(none);
        assert!(
            create(&lower, &organization, &project, Quota::ApiKeys)
                .await
                .is_err()
        );
        let higher = store.with_quotas(Quotas::DEFAULT);
        create(&higher, &organization, &project, Quota::ApiKeys)
            .await
            .unwrap();
    });
}
