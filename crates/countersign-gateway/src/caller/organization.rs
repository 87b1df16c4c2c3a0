//! An organization as it is enforced.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use countersign_types::{
    UnixSeconds,
    bundle::{BundleKey, BundleProject, KeysSum, OrganizationBundle},
    digest::Sha256,
    id::{OrganizationId, ProjectId, TokenKeyId},
    token::TokenClaims,
};

use super::federation::Federation;
use crate::verdict::authorization::OrganizationTrust;

/// An organization as it is enforced.
#[derive(Debug)]
pub(crate) struct Organization {
    /// As it was pulled, without its keys.
    bundle: OrganizationBundle,
    keys: Arc<[BundleKey]>,
    /// What its tokens are believed by.
    federation: Federation,
    /// Compiled at the first request; shared with the organization before a change that left it alone.
    trust: Arc<OnceLock<OrganizationTrust>>,
}

impl Organization {
    /// The organization after a change. What the change left alone is shared with it as it was before.
    pub(crate) fn after(before: Option<&Self>, mut bundle: OrganizationBundle) -> Self {
        bundle.certificates.shrink_to_fit();
        bundle.projects.shrink_to_fit();
        let keys = keys_after(before, &mut bundle);
        Self {
            federation: Federation::of(&bundle),
            trust: before.map_or_else(Arc::default, |before| before.trust_after(&bundle)),
            bundle,
            keys,
        }
    }

    /// The sum of its keys.
    fn keys_sum(&self) -> KeysSum {
        let known = self.bundle.keys_sum;
        known.map_or_else(|| KeysSum::of(&self.keys), KeysSum::from)
    }

    /// The trust of what comes after. Where only denials differ, what was decided about chains is looked up among
    /// these, and no signature is checked again.
    fn trust_after(&self, after: &OrganizationBundle) -> Arc<OnceLock<OrganizationTrust>> {
        let same_anchors = anchors_alike(&self.bundle, after);
        if same_anchors && self.bundle.denials == after.denials {
            return Arc::clone(&self.trust);
        }
        // If it is in use, no request should wait for the compilation.
        let compiled = self.trust.get().map(|trust| {
            if same_anchors {
                trust.with_denials_of(after)
            } else {
                OrganizationTrust::compile(after)
            }
        });
        Arc::new(compiled.map_or_else(OnceLock::new, OnceLock::from))
    }

    pub(crate) const fn id(&self) -> &OrganizationId {
        &self.bundle.id
    }

    pub(crate) const fn digest(&self) -> Option<Sha256> {
        self.bundle.digest
    }

    /// As it was pulled, without its keys.
    pub(crate) const fn bundle(&self) -> &OrganizationBundle {
        &self.bundle
    }

    /// As it was pulled.
    pub(crate) fn whole(&self) -> OrganizationBundle {
        OrganizationBundle {
            keys: self.keys.to_vec(),
            ..self.bundle.clone()
        }
    }

    pub(crate) const fn keys(&self) -> &Arc<[BundleKey]> {
        &self.keys
    }

    /// The rules and public keys of its tokens.
    pub(crate) const fn federation(&self) -> &Federation {
        &self.federation
    }

    /// Whether a token lets its holder call: it was signed with a key that is still good, and what admitted
    /// the holder would admit it now.
    pub(super) fn believes(
        &self,
        claims: &TokenClaims,
        key: &TokenKeyId,
        now: UnixSeconds,
    ) -> bool {
        self.federation.key(key, now).is_some()
            && self.federation.admits(claims)
            && !self.trust().denies_token(claims, now)
    }

    pub(crate) fn trust(&self) -> &OrganizationTrust {
        self.trust
            .get_or_init(|| OrganizationTrust::compile(&self.bundle))
    }

    /// What its trust is recognized by, as long as someone remembers it.
    pub(crate) const fn compiled(&self) -> &Arc<OnceLock<OrganizationTrust>> {
        &self.trust
    }

    /// Whether it is as a bundle says.
    pub(super) fn is(&self, bundle: &OrganizationBundle) -> bool {
        let OrganizationBundle {
            id,
            revision,
            digest,
            certificates,
            active,
            with_reported,
            projects,
            keys,
            keys_sum,
            key_changes,
            federation,
            audit,
            receipt_keys,
            denials,
        } = bundle;
        let known = &self.bundle;
        (&known.id, known.revision, known.digest) == (id, *revision, *digest)
            && known.certificates == *certificates
            && (&known.active, &known.with_reported) == (active, with_reported)
            && known.projects == *projects
            && key_changes.is_none()
            && known.keys_sum == *keys_sum
            && *self.keys == **keys
            && known.federation == *federation
            && (&known.audit, &known.receipt_keys) == (audit, receipt_keys)
            && known.denials == *denials
    }
}

/// Whether what changed of keys can be applied to those that an organization had before: whoever applies it comes
/// to the sum that is said.
pub(super) fn keys_fit(before: Option<&Organization>, bundle: &OrganizationBundle) -> bool {
    let Some(changes) = &bundle.key_changes else {
        return true;
    };
    let sum = match before {
        Some(before) => changes.sum_after(&before.keys, before.keys_sum()),
        None => changes.sum_after(&[], KeysSum::NONE),
    };
    bundle.keys_sum == Some(sum.into())
}

/// The keys of an organization after a change: those that are sent, or those before with what changed of them.
fn keys_after(before: Option<&Organization>, bundle: &mut OrganizationBundle) -> Arc<[BundleKey]> {
    let fit = keys_fit(before, bundle);
    let keys_before = before.map(|before| &before.keys);
    let Some(mut changes) = bundle.key_changes.take() else {
        let mut keys = std::mem::take(&mut bundle.keys);
        if let Some(same) = keys_before.filter(|before| ***before == *keys) {
            return Arc::clone(same);
        }
        share_projects(&mut keys, &bundle.projects);
        return keys.into();
    };
    if !fit {
        // Nobody's key is good until the comparison by digests finds this.
        tracing::error!(organization = %bundle.id, "what changed of the keys does not fit those before");
        (bundle.digest, bundle.keys_sum) = (None, None);
        return Arc::default();
    }
    share_projects(&mut changes.added, &bundle.projects);
    match keys_before {
        Some(before) if changes.is_empty() => Arc::clone(before),
        Some(before) => changes.applied_to(before).into(),
        None => changes.added.into(),
    }
}

/// Whether two bundles are the same in what trust is compiled from, their denials aside.
fn anchors_alike(one: &OrganizationBundle, other: &OrganizationBundle) -> bool {
    let same_project = |(one, other): (&BundleProject, &BundleProject)| {
        (&one.id, &one.active, &one.with_reported)
            == (&other.id, &other.active, &other.with_reported)
    };
    one.certificates == other.certificates
        && one.active == other.active
        && one.with_reported == other.with_reported
        && one.projects.len() == other.projects.len()
        && one.projects.iter().zip(&other.projects).all(same_project)
}

/// Lets keys name their projects by the same memory.
fn share_projects(keys: &mut [BundleKey], projects: &[BundleProject]) {
    let known: HashSet<&ProjectId> = projects.iter().map(|project| &project.id).collect();
    for project in keys.iter_mut().filter_map(|key| key.project.as_mut()) {
        if let Some(same) = known.get(project) {
            *project = (*same).clone();
        }
    }
}
