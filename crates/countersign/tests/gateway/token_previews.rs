//! A preview of rules is right about a workload that calls with a token.

use std::time::Duration;

use countersign_types::{federation_rule::FederationRuleUpdateRequest, preview::TrustChange};

use crate::{observations::until, tokens::Scene};

#[tokio::test]
async fn a_workload_that_calls_with_a_token_is_named_before_its_rule_goes() {
    let scene = Scene::with(|options| {
        options.observations = true;
        options.observation_interval = Duration::from_millis(20);
    })
    .await;
    let token = scene.token().await;
    assert_eq!(scene.code(&token).await, "");
    until(&scene.world, 1).await;
    let disabled = FederationRuleUpdateRequest {
        enabled: Some(false),
        ..Default::default()
    };
    let change = TrustChange::UpdateFederationRule {
        workload_identity_provider_id: scene.provider.clone(),
        federation_rule_id: scene.rule.clone(),
        rule: disabled.clone(),
    };
    let found = scene.world.api.preview_changes(&[change]).await.unwrap();
    let effect = found.value.effect;
    let [failing] = effect.starts_to_fail.as_slice() else {
        panic!("{effect:?}")
    };
    let leaf = failing.identity.leaf.as_ref().unwrap();
    assert!(leaf.subject.contains("worker-7"), "{leaf:?}");
    assert_eq!(failing.identity.key, None);
    assert_eq!(scene.code(&token).await, "", "it was only a preview");

    let rules = scene.world.api.federation_rules(&scene.provider);
    let made = rules.update(&scene.rule, &disabled).await.unwrap();
    scene.world.enforced(made.revision.unwrap()).await;
    assert_eq!(scene.code(&token).await, failing.code.to_string());
    assert_eq!(scene.exchange(&[&scene.worker]).await.status, 400);
}
