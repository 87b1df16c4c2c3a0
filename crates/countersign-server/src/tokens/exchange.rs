//! The order of one exchange: the certificate, the provider's conditions, its transformations, exactly one rule,
//! a token.

use std::sync::Arc;

use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    digest::Sha256,
    error::ErrorCode,
    federation_rule::FederationRule,
    id::{ProjectId, ServiceAccountId, TokenId, WorkloadIdentityProviderId},
    observation::Der,
    secret::Secret,
    token::{
        ISSUER, MAX_TOKEN_SECONDS, TOKEN_TYPE, TokenClaims, TokenError, TokenExchange,
        TokenExchangeRequest,
    },
};
use countersign_verify::{
    denial::LeafMarks,
    judge::{Verdict, judge},
    permit::Permit,
    policy::LeafFacts,
    presented::Presented,
    refusal::Refusal,
};
use rustls_pki_types::CertificateDer;

use super::{
    attributes::{self, Attributes},
    compiled::{Federation, Federations, Provider},
};
use crate::store::{Reach, Sources, Store, StoreError};

/// Why an exchange is refused: what the workload is told, and what the operator is.
pub(super) type Refused = (TokenError, String);

/// Exchanges a chain for a token.
pub(crate) async fn exchange(
    federations: &Federations,
    store: &Store,
    reach: &Reach,
    request: TokenExchangeRequest,
) -> Result<TokenExchange, StoreError> {
    let Some(asked) = Asked::find(federations, store, reach, &request).await? else {
        let reason = "no such workload identity provider within this gateway's reach".to_owned();
        return Ok(refused((TokenError::InvalidGrant, reason)));
    };
    let presented = presented(request.chain);
    let sources = store.sources();
    let provider = asked.federation.provider(&asked.provider)?;
    match asked.admit(provider, &presented, sources.now()) {
        Ok(admitted) => asked.mint(&admitted, sources),
        Err(why) => Ok(refused(why)),
    }
}

fn refused((error, reason): Refused) -> TokenExchange {
    TokenExchange::Refused { error, reason }
}

/// A chain as it came, leaf first.
pub(super) fn presented(chain: Vec<Der>) -> Presented {
    let chain = chain.into_iter();
    Presented::new(chain.map(|Der(der)| CertificateDer::from(der)).collect())
}

/// An exchange that was asked for.
struct Asked {
    federation: Arc<Federation>,
    provider: WorkloadIdentityProviderId,
    /// The account, and its project.
    account: Option<(ServiceAccountId, ProjectId)>,
}

/// What a workload is admitted with.
struct Admitted<'f> {
    permit: Permit,
    rule: &'f FederationRule,
    admission: Sha256,
    marks: Option<LeafMarks>,
}

impl Asked {
    /// Finds whom it is about; nobody if there is no such provider.
    async fn find(
        federations: &Federations,
        store: &Store,
        reach: &Reach,
        request: &TokenExchangeRequest,
    ) -> Result<Option<Self>, StoreError> {
        let Ok(provider) = request.identity_provider_id.parse() else {
            return Ok(None);
        };
        let account: Option<ServiceAccountId> = request.service_account_id.parse().ok();
        let of = account.clone().unwrap_or(ServiceAccountId::opaque(""));
        let parties = store.exchange_parties(&provider, &of).await?;
        let Some(parties) = parties.filter(|found| reach.includes(&found.organization)) else {
            return Ok(None);
        };
        let federation = federations
            .at(store, &parties.organization, parties.point)
            .await?;
        Ok(Some(Self {
            federation,
            provider,
            account: account.zip(parties.project),
        }))
    }

    fn admit<'f>(
        &'f self,
        provider: Option<Provider<'f>>,
        presented: &Presented,
        now: UnixSeconds,
    ) -> Result<Admitted<'f>, Refused> {
        let grant = |reason: &str| (TokenError::InvalidGrant, reason.to_owned());
        let provider = provider.ok_or_else(|| grant("the provider was deleted"))?;
        if !provider.provider.enabled {
            return Err(grant("the provider is disabled"));
        }
        let account = self.account.as_ref();
        let (account, project) = account.ok_or_else(|| grant("no such service account"))?;
        if !self.federation.is_open(project) {
            return Err(grant("the service account's project is archived"));
        }
        let permit = verify(&self.federation, project, presented, now)?;
        let computed = usable(provider, &facts(presented)?)?;
        let (rule, admission) = only_rule(provider, (account, project), &computed)?;
        Ok(Admitted {
            permit,
            rule,
            admission: *admission,
            marks: presented.leaf().and_then(|der| LeafMarks::of(der)),
        })
    }

    fn mint(
        &self,
        admitted: &Admitted<'_>,
        sources: &Sources,
    ) -> Result<TokenExchange, StoreError> {
        let now = sources.now();
        let expires_at = admitted.permit.not_after().min(now + MAX_TOKEN_SECONDS);
        if expires_at <= now {
            let reason = "a certificate on the path expires this second".to_owned();
            return Ok(refused((TokenError::InvalidSubjectToken, reason)));
        }
        let Some(key) = self.federation.signing_key(now) else {
            return Err(StoreError::Corrupt(
                "an organization with rules has no token key".to_owned(),
            ));
        };
        let rule = admitted.rule;
        let scope = rule.permissions.scopes.as_ref().map(|all| all.join(" "));
        let claims = TokenClaims {
            iss: ISSUER.to_owned(),
            sub: rule.service_account_id.clone(),
            organization: self.federation.organization.clone(),
            project: rule.project_id.clone(),
            provider: rule.workload_identity_provider_id.clone(),
            rule: rule.id.clone(),
            certificate: admitted.permit.anchor().clone(),
            admission: admitted.admission,
            leaf: admitted.marks.as_ref().map(ToString::to_string),
            scope: scope.clone(),
            iat: now,
            exp: expires_at,
            jti: TokenId::from_random(sources.id()?),
        };
        let token = key
            .sign(TOKEN_TYPE, &claims)
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(TokenExchange::Issued {
            access_token: Secret::new(token),
            expires_at,
            scope,
        })
    }
}

/// The attributes of a leaf that the provider accepts.
pub(super) fn usable<'p>(
    provider: Provider<'p>,
    facts: &LeafFacts,
) -> Result<Attributes<'p>, Refused> {
    fulfils(provider, facts)?;
    let computed = attributes::compute(provider, facts);
    match attributes::unusable(&computed) {
        Some(why) => Err((TokenError::InvalidGrant, why)),
        None => Ok(computed),
    }
}

/// The one rule that admits these attributes to an account: with two, nobody can say what is meant.
pub(super) fn only_rule<'p>(
    provider: Provider<'p>,
    (account, project): (&ServiceAccountId, &ProjectId),
    computed: &Attributes<'_>,
) -> Result<&'p (FederationRule, Sha256), Refused> {
    let matching = provider.rules.iter().filter(|(rule, _)| {
        rule.enabled
            && rule.service_account_id == *account
            && rule.project_id == *project
            && attributes::mismatches(rule, computed).is_empty()
    });
    let reason = match matching.collect::<Vec<_>>().as_slice() {
        [rule] => return Ok(rule),
        [] => "no rule for the service account matches".to_owned(),
        several => {
            let ids: Vec<_> = several.iter().map(|(rule, _)| rule.id.as_str()).collect();
            format!("{} rules match: {}", several.len(), ids.join(", "))
        }
    };
    Err((TokenError::InvalidGrant, reason))
}

/// Judges the chain as a request of the project would be, except that no anchor at all is a refusal.
pub(super) fn verify(
    federation: &Federation,
    project: &ProjectId,
    presented: &Presented,
    now: UnixSeconds,
) -> Result<Permit, Refused> {
    let scope = Scope::Project(project.clone());
    match judge(&federation.trust, &scope, presented, now) {
        Verdict::Permit(permit) => Ok(permit),
        Verdict::NoAnchorApplies(_) => {
            let reason = "no trust anchor is enforced for the project or the organization";
            Err((TokenError::InvalidGrant, reason.to_owned()))
        }
        Verdict::Refusal(refusal) => {
            let error = match refusal.code() {
                ErrorCode::AuthenticationTemporarilyUnavailable => {
                    TokenError::TokenExchangeServerError
                }
                _ => TokenError::InvalidSubjectToken,
            };
            Err((error, why(&refusal)))
        }
    }
}

/// A refusal, for the operator: its code, and what was found last.
pub(super) fn why(refusal: &Refusal) -> String {
    let code = refusal.code().as_str();
    match refusal.trace().last() {
        Some(finding) => format!("{code}: {finding}"),
        None => code.to_owned(),
    }
}

/// What the verified leaf says.
pub(super) fn facts(presented: &Presented) -> Result<LeafFacts, Refused> {
    let leaf = presented.leaf().map(|der| der.as_ref()).unwrap_or_default();
    LeafFacts::from_der(leaf).map_err(|error| (TokenError::InvalidSubjectToken, error.to_string()))
}

/// Whether the provider's condition, if it has one, lets the leaf pass.
pub(super) fn fulfils(provider: Provider<'_>, facts: &LeafFacts) -> Result<(), Refused> {
    let Some(condition) = provider.condition else {
        return Ok(());
    };
    match condition.evaluate(facts) {
        Ok(true) => Ok(()),
        Ok(false) => Err((
            TokenError::InvalidGrant,
            "the provider's condition does not hold".to_owned(),
        )),
        Err(why) => Err((
            TokenError::InvalidGrant,
            format!("the provider's condition has no answer: {why}"),
        )),
    }
}
