//! What decides about an organization's exchanges, compiled, and kept for as long as the organization is as it
//! was.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use countersign_types::{
    UnixSeconds,
    bundle::BundleProject,
    compact_jws::SigningKey,
    digest::Sha256,
    federation_rule::FederationRule,
    history::HistoryPoint,
    id::{OrganizationId, ProjectId, WorkloadIdentityProviderId},
    workload_identity_provider::WorkloadIdentityProvider,
};
use countersign_verify::{
    policy::{Condition, PolicyError, Transformation},
    trust::TrustSet,
};
use tokio::sync::Mutex as AsyncMutex;

use crate::store::{FederationState, ProvidersAndRules, Store, StoreError, admission_digest};

/// The most organizations that are kept compiled: of each, its anchors and expressions.
const MOST_KEPT: usize = 1024;

/// An organization's exchanges, compiled.
pub(crate) struct Federation {
    pub(super) organization: OrganizationId,
    pub(super) point: HistoryPoint,
    pub(super) trust: TrustSet,
    projects: Vec<BundleProject>,
    providers: Providers,
    keys: Vec<(UnixSeconds, SigningKey)>,
}

/// Providers with their rules, by their ids; each is compiled when it is first asked for.
#[derive(Default)]
pub(crate) struct Providers(BTreeMap<WorkloadIdentityProviderId, Kept>);

impl Providers {
    /// Puts rules, oldest first, to their providers.
    ///
    /// # Errors
    /// Never in practice: see [`admission_digest`].
    pub(crate) fn new(all: ProvidersAndRules) -> Result<Self, StoreError> {
        let mut providers = BTreeMap::new();
        for provider in all.providers {
            let id = provider.id.clone();
            let kept = Kept {
                provider,
                compiled: OnceLock::new(),
                rules: Vec::new(),
            };
            providers.insert(id, kept);
        }
        for rule in all.rules {
            if let Some(of) = providers.get_mut(&rule.workload_identity_provider_id) {
                let digest = admission_digest(&of.provider, &rule)?;
                of.rules.push((rule, digest));
            }
        }
        Ok(Self(providers))
    }

    /// A provider, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what was compiled when it was saved cannot be compiled now.
    pub(super) fn get(
        &self,
        id: &WorkloadIdentityProviderId,
    ) -> Result<Option<Provider<'_>>, StoreError> {
        self.0.get(id).map(Kept::compiled).transpose()
    }

    /// Every provider that can be compiled: all, but for a damaged one, which admits nobody.
    pub(super) fn all(&self) -> impl Iterator<Item = Provider<'_>> {
        self.0.values().filter_map(|kept| kept.compiled().ok())
    }
}

/// A provider as it is kept.
struct Kept {
    provider: WorkloadIdentityProvider,
    /// Compiled at its first exchange: a change of the organization costs what is asked for after it.
    compiled: OnceLock<Compiled>,
    rules: Vec<(FederationRule, Sha256)>,
}

struct Compiled {
    condition: Option<Condition>,
    transformations: Vec<(String, Transformation)>,
}

/// A provider, compiled.
#[derive(Clone, Copy)]
pub(super) struct Provider<'f> {
    pub(super) provider: &'f WorkloadIdentityProvider,
    pub(super) condition: Option<&'f Condition>,
    pub(super) transformations: &'f [(String, Transformation)],
    /// Its rules, oldest first, each with the digest of what decides whom it admits.
    pub(super) rules: &'f [(FederationRule, Sha256)],
}

impl Federation {
    fn compile(state: FederationState) -> Result<Self, StoreError> {
        let keys = state.keys.iter();
        let keys = keys.map(|key| Ok((key.key.signs_at, key.signing_key()?)));
        Ok(Self {
            organization: state.trust.id.clone(),
            point: state.point,
            trust: TrustSet::compile(&state.trust),
            projects: state.trust.projects,
            providers: Providers::new(ProvidersAndRules {
                providers: state.providers,
                rules: state.rules,
            })?,
            keys: keys.collect::<Result<_, StoreError>>()?,
        })
    }

    /// A provider, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if what was compiled when it was saved cannot be compiled now.
    pub(super) fn provider(
        &self,
        id: &WorkloadIdentityProviderId,
    ) -> Result<Option<Provider<'_>>, StoreError> {
        self.providers.get(id)
    }

    /// Whether a project is there and not archived.
    pub(super) fn is_open(&self, project: &ProjectId) -> bool {
        let mut projects = self.projects.iter();
        projects.any(|each| each.id == *project && !each.archived)
    }

    /// The key that signs now: the newest whose time has come.
    pub(super) fn signing_key(&self, now: UnixSeconds) -> Option<&SigningKey> {
        let mut newest_first = self.keys.iter().rev();
        let ready = newest_first.find(|(signs_at, _)| *signs_at <= now);
        ready.map(|(_, key)| key)
    }
}

impl Kept {
    fn compiled(&self) -> Result<Provider<'_>, StoreError> {
        let compiled = match self.compiled.get() {
            Some(compiled) => compiled,
            None => {
                let compiled = Compiled::of(&self.provider)?;
                self.compiled.get_or_init(|| compiled)
            }
        };
        Ok(Provider {
            provider: &self.provider,
            condition: compiled.condition.as_ref(),
            transformations: &compiled.transformations,
            rules: &self.rules,
        })
    }
}

impl Compiled {
    fn of(provider: &WorkloadIdentityProvider) -> Result<Self, StoreError> {
        // They were compiled when they were saved.
        let corrupt = |error: PolicyError| StoreError::Corrupt(error.to_string());
        let condition = provider.attribute_conditions.as_deref();
        let condition = condition.map(Condition::compile).transpose();
        let each = provider.attribute_transformations.iter();
        let transformations = each.map(|one| {
            let compiled = Transformation::compile(&one.expression).map_err(corrupt)?;
            Ok((one.attribute.clone(), compiled))
        });
        Ok(Self {
            condition: condition.map_err(corrupt)?,
            transformations: transformations.collect::<Result<_, StoreError>>()?,
        })
    }
}

/// Where an organization is kept. Who reads it holds the lock: those who ask meanwhile need not read it too.
type Slot = Arc<AsyncMutex<Option<Arc<Federation>>>>;

/// The organizations that exchanges were in lately.
#[derive(Default)]
pub(crate) struct Federations(Mutex<HashMap<OrganizationId, Slot>>);

impl Federations {
    /// An organization as it is at a point, or later.
    pub(super) async fn at(
        &self,
        store: &Store,
        organization: &OrganizationId,
        point: HistoryPoint,
    ) -> Result<Arc<Federation>, StoreError> {
        let slot = self.slot(organization);
        let mut kept = slot.lock().await;
        let known = kept.as_ref();
        if let Some(known) = known.filter(|known| known.point == point && !point.token.is_none()) {
            return Ok(Arc::clone(known));
        }
        let state = store.federation(organization).await?;
        let compiled = Arc::new(Federation::compile(state)?);
        *kept = Some(Arc::clone(&compiled));
        Ok(compiled)
    }

    fn slot(&self, organization: &OrganizationId) -> Slot {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = kept.get(organization) {
            return Arc::clone(slot);
        }
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        let slot = Slot::default();
        kept.insert(organization.clone(), Arc::clone(&slot));
        slot
    }
}
