//! An exchange that is tried: every step is shown, and no token is issued.

use countersign_types::{
    UnixSeconds,
    federation_rule::{FederationRule, MatcherValue},
    federation_test::{
        FederationTest, FederationTestObject, FederationTestRefusal, FederationTestRequest,
        TestedAttribute, TestedRule,
    },
    id::{CertificateId, OrganizationId, ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
    token::TokenError,
};
use countersign_verify::{
    certificate::LeafSummary,
    policy::{AttributeValue, LeafFacts, NoValue},
    presented::Presented,
};

use super::{
    attributes::{self, Attributes},
    compiled::{Federation, Federations, Provider},
    exchange::{Refused, facts, fulfils, presented, verify},
};
use crate::store::{Kind, Store, StoreError};

/// Tries an exchange.
///
/// # Errors
/// [`StoreError::NotFound`] for the provider.
pub(crate) async fn test(
    federations: &Federations,
    store: &Store,
    organization: &OrganizationId,
    provider: &WorkloadIdentityProviderId,
    request: FederationTestRequest,
) -> Result<FederationTest, StoreError> {
    let none = || StoreError::NotFound {
        kind: Kind::WorkloadIdentityProvider,
        id: provider.to_string(),
    };
    let account = request.service_account_id;
    let parties = store.exchange_parties(provider, &account).await?;
    let parties = parties.filter(|found| found.organization == *organization);
    let parties = parties.ok_or_else(none)?;
    let federation = federations.at(store, organization, parties.point).await?;
    let of = federation.provider(provider)?.ok_or_else(none)?;
    let presented = presented(request.chain);
    let mut trying = Trying {
        federation: &federation,
        provider: of,
        presented: &presented,
        now: store.sources().now(),
        refusals: Vec::new(),
    };
    if !of.provider.enabled {
        trying.refuse(grant("the provider is disabled"));
    }
    let certificate_id = trying.verify(parties.project.as_ref());
    Ok(trying.show(parties.project, certificate_id, &account))
}

/// An exchange that is tried, and what refused it so far.
struct Trying<'t> {
    federation: &'t Federation,
    provider: Provider<'t>,
    presented: &'t Presented,
    now: UnixSeconds,
    refusals: Vec<Refused>,
}

impl Trying<'_> {
    fn refuse(&mut self, refused: Refused) {
        self.refusals.push(refused);
    }

    /// The anchor that the chain is verified with at the service account's project.
    fn verify(&mut self, project: Option<&ProjectId>) -> Option<CertificateId> {
        let verified = match project {
            None => Err(grant("no such service account")),
            Some(project) if !self.federation.is_open(project) => {
                Err(grant("the service account's project is archived"))
            }
            Some(project) => verify(self.federation, project, self.presented, self.now),
        };
        match verified {
            Ok(permit) => Some(permit.anchor().clone()),
            Err(refused) => {
                self.refuse(refused);
                None
            }
        }
    }

    fn show(
        mut self,
        project_id: Option<ProjectId>,
        certificate_id: Option<CertificateId>,
        account: &ServiceAccountId,
    ) -> FederationTest {
        let leaf = self.presented.leaf().map(|der| LeafSummary::of(der));
        let (subject, subject_alt_names) = leaf
            .map(|leaf| (leaf.subject, leaf.names))
            .unwrap_or_default();
        let mut test = FederationTest {
            object: FederationTestObject::Test.into(),
            judged_at: self.now,
            issues: false,
            refused: None,
            project_id,
            certificate_id,
            subject,
            subject_alt_names,
            condition_holds: None,
            attributes: Vec::new(),
            rules: Vec::new(),
        };
        match facts(self.presented) {
            Err(refused) => self.refuse(refused),
            Ok(facts) => self.look_at(&facts, account, &mut test),
        }
        match test.rules.iter().filter(|rule| rule.matches).count() {
            1 => {}
            0 => self.refuse(grant("no rule for the service account matches")),
            several => self.refuse(grant(&format!("{several} rules match"))),
        }
        let first = self.refusals.into_iter().next();
        test.issues = first.is_none();
        test.refused = first.map(|(error, reason)| FederationTestRefusal {
            error: error.as_str().to_owned(),
            reason,
        });
        test
    }

    /// What the leaf says, and which rules that matches.
    fn look_at(
        &mut self,
        facts: &LeafFacts,
        account: &ServiceAccountId,
        test: &mut FederationTest,
    ) {
        let condition = self.provider.condition;
        test.condition_holds = condition.and_then(|one| one.evaluate(facts).ok());
        if let Err(refused) = fulfils(self.provider, facts) {
            self.refuse(refused);
        }
        let computed = attributes::compute(self.provider, facts);
        if let Some(why) = attributes::unusable(&computed) {
            self.refuse((TokenError::InvalidGrant, why));
        }
        test.rules = rules(self.provider, account, &computed);
        test.attributes = computed.into_iter().map(tested).collect();
    }
}

fn grant(reason: &str) -> Refused {
    (TokenError::InvalidGrant, reason.to_owned())
}

fn rules(
    provider: Provider<'_>,
    account: &ServiceAccountId,
    computed: &Attributes<'_>,
) -> Vec<TestedRule> {
    let of_account = |(rule, _): &&(FederationRule, _)| rule.service_account_id == *account;
    let all = provider.rules.iter().filter(of_account);
    all.map(|(rule, _)| {
        let mut why_not = attributes::mismatches(rule, computed);
        if !rule.enabled {
            why_not.insert(0, "the rule is disabled".to_owned());
        }
        TestedRule {
            rule_id: rule.id.clone(),
            name: rule.name.clone(),
            matches: why_not.is_empty(),
            why_not,
        }
    })
    .collect()
}

fn tested((name, value): (&str, Result<AttributeValue, NoValue>)) -> TestedAttribute {
    let (value, why_none) = match value {
        Ok(AttributeValue::Text(text)) => (Some(MatcherValue::Text(text)), None),
        Ok(AttributeValue::Bool(value)) => (Some(MatcherValue::Bool(value)), None),
        Ok(AttributeValue::Int(value)) => (Some(MatcherValue::Number(value.into())), None),
        Err(why) => (None, Some(why.to_string())),
    };
    TestedAttribute {
        attribute: name.to_owned(),
        value,
        why_none,
    }
}
