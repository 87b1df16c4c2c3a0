//! What is trusted: an organization's anchors by scope and key identifier, compiled once from its
//! bundle, immutable, shared behind an `Arc`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use countersign_types::{
    UnixSeconds,
    bundle::{BundleCertificate, BundleRevocation, OrganizationBundle},
    certificate::Scope,
    id::{CertificateId, OrganizationId, ProjectId},
};

use rustls_pki_types::CertificateDer;

use crate::{
    certificate::Anchor,
    crl::IssuerDigest,
    path::TrustedKey,
    policy::Policy,
    revocation::{List, Lists},
    x509::Certificate,
};

/// The anchors of one organization, ready to judge by.
pub struct TrustSet {
    revision: u64,
    organization: ActiveSet,
    projects: HashMap<ProjectId, ActiveSet>,
}

/// What is active at one scope.
struct ActiveSet {
    scope: Scope,
    /// Whether some of it is only reported, and is here as if it were enforced.
    reported: bool,
    /// Oldest activation first.
    active: Vec<Arc<Active>>,
    /// Indexes of `active`, by the identifier of the anchor's key.
    by_key: HashMap<Box<[u8]>, Vec<usize>>,
}

/// A certificate that is active: an anchor, or why it cannot be one. It counts as active either
/// way, so that a certificate that cannot be used locks out instead of letting everyone in.
struct Active {
    id: CertificateId,
    anchor: Result<TrustedAnchor, String>,
}

/// An anchor that can be a candidate.
pub(crate) struct TrustedAnchor {
    pub(crate) key: TrustedKey,
    pub(crate) subject_key: Box<[u8]>,
    pub(crate) not_before: UnixSeconds,
    pub(crate) not_after: UnixSeconds,
    pub(crate) path_length: Option<u8>,
    pub(crate) policy: Option<Policy>,
    /// The name and key of the CA, by which its revocation list is found.
    pub(crate) issuer: IssuerDigest,
    pub(crate) lists: Lists,
}

impl TrustSet {
    /// Compiles what a gateway was given. Nothing in it makes this fail: a certificate that is
    /// missing, cannot be an anchor, or has a policy that does not compile is active and permits
    /// nothing.
    #[must_use]
    pub fn compile(bundle: &OrganizationBundle) -> Self {
        Self::compile_active(bundle, Active::compile, |active, _| (active, false))
    }

    /// The same with the anchors and the policies that are only reported counted as enforced: what would
    /// be judged by once they are. `None` when nothing is only reported, at no scope.
    #[must_use]
    pub fn compile_reported(bundle: &OrganizationBundle) -> Option<Self> {
        let mut projects = bundle.projects.iter();
        let certificates = bundle.certificates.iter();
        let with_policy: HashSet<&CertificateId> = certificates
            .filter(|certificate| certificate.reported_policy.is_some())
            .map(|certificate| &certificate.id)
            .collect();
        if with_policy.is_empty()
            && bundle.with_reported.is_empty()
            && projects.all(|project| project.with_reported.is_empty())
        {
            return None;
        }
        let compile = Active::compile_reported;
        Some(Self::compile_active(
            bundle,
            compile,
            |active, with_reported| {
                if with_reported.is_empty() {
                    (active, active.iter().any(|id| with_policy.contains(id)))
                } else {
                    (with_reported, true)
                }
            },
        ))
    }

    /// Compiles what `pick` takes of a scope's anchors: those enforced, or those that are active
    /// at all; and whether it took any that are only reported.
    fn compile_active<'b>(
        bundle: &'b OrganizationBundle,
        compile: impl Fn(&'b BundleCertificate) -> Active,
        pick: impl Fn(&'b [CertificateId], &'b [CertificateId]) -> (&'b [CertificateId], bool),
    ) -> Self {
        let compiled: HashMap<&CertificateId, Arc<Active>> = bundle
            .certificates
            .iter()
            .map(|certificate| (&certificate.id, Arc::new(compile(certificate))))
            .collect();
        let projects = bundle.projects.iter().map(|project| {
            let scope = Scope::Project(project.id.clone());
            let picked = pick(&project.active, &project.with_reported);
            (project.id.clone(), ActiveSet::new(scope, picked, &compiled))
        });
        let picked = pick(&bundle.active, &bundle.with_reported);
        Self {
            revision: bundle.revision,
            organization: ActiveSet::new(Scope::Organization, picked, &compiled),
            projects: projects.collect(),
        }
    }

    /// A trust set of these PEM texts, all active for the organization in this order, each with
    /// the policy if there is one: for judging without a server. The first is `cert_1`, the next
    /// `cert_2`, and so on.
    #[must_use]
    pub fn from_anchors<'p>(pems: impl IntoIterator<Item = &'p str>, policy: Option<&str>) -> Self {
        let without_lists = pems.into_iter().map(|pem| (pem, None));
        Self::from_anchors_and_lists(without_lists, policy)
    }

    /// The same of anchors with their revocation lists.
    #[must_use]
    pub fn from_anchors_and_lists<'p>(
        anchors: impl IntoIterator<Item = (&'p str, Option<BundleRevocation>)>,
        policy: Option<&str>,
    ) -> Self {
        let numbered = anchors.into_iter().zip(1_u32..);
        let certificates: Vec<_> = numbered
            .filter_map(|((pem, revocation), number)| {
                Some(BundleCertificate {
                    id: format!("{}{number}", CertificateId::PREFIX).parse().ok()?,
                    pem: pem.to_owned(),
                    cel_policy: policy.map(str::to_owned),
                    reported_policy: None,
                    revocation,
                })
            })
            .collect();
        Self::compile(&OrganizationBundle {
            id: OrganizationId::from_random(0),
            revision: 0,
            digest: None,
            active: certificates.iter().map(|one| one.id.clone()).collect(),
            with_reported: Vec::new(),
            certificates,
            projects: Vec::new(),
            keys: Vec::new(),
            federation: None,
            audit: None,
            receipt_keys: Vec::new(),
        })
    }

    /// The revision of the bundle that it was compiled from.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether anchors that are only reported stand here among those for requests of this scope.
    #[must_use]
    pub fn reports_at(&self, scope: &Scope) -> bool {
        self.applicable(scope)
            .is_some_and(|applicable| applicable.sets().any(|(_, set)| set.reported))
    }

    /// What is active for a request; `None` when its project is not known here.
    pub(crate) fn applicable(&self, scope: &Scope) -> Option<Applicable<'_>> {
        let project = match scope.project() {
            None => None,
            Some(id) => Some(self.projects.get(id)?),
        };
        Some(Applicable {
            project,
            organization: &self.organization,
        })
    }
}

impl Active {
    fn compile(certificate: &BundleCertificate) -> Self {
        Self {
            id: certificate.id.clone(),
            anchor: TrustedAnchor::compile(certificate, certificate.cel_policy.as_deref()),
        }
    }

    /// The same with the policy that is only reported, if there is one.
    fn compile_reported(certificate: &BundleCertificate) -> Self {
        let reported = certificate.reported_policy.as_deref();
        let policy = reported.or(certificate.cel_policy.as_deref());
        Self {
            id: certificate.id.clone(),
            anchor: TrustedAnchor::compile(certificate, policy),
        }
    }
}

impl TrustedAnchor {
    fn compile(certificate: &BundleCertificate, policy: Option<&str>) -> Result<Self, String> {
        // Among the rules of an upload are those of a CA on a path, so that an anchor which an older
        // version let in and this one cannot judge by is active and permits nothing.
        let anchor = Anchor::from_pem(&certificate.pem).map_err(|error| error.to_string())?;
        let der = CertificateDer::from(anchor.der());
        let fields = Certificate::read(&der).map_err(|what| what.to_string())?;
        let subject_key = fields
            .extensions
            .subject_key
            .ok_or("it has no subject key identifier")?;
        let policy = policy.map(Policy::compile);
        Ok(Self {
            key: TrustedKey::read(&der).map_err(|what| what.to_string())?,
            subject_key: subject_key.into(),
            not_before: fields.not_before,
            not_after: fields.not_after,
            path_length: fields.extensions.path_length,
            issuer: IssuerDigest::of(fields.subject, fields.key),
            lists: Lists::compile(&certificate.id, certificate.revocation.as_ref()),
            policy: policy
                .transpose()
                .map_err(|error| format!("its policy does not compile: {error}"))?,
        })
    }
}

impl ActiveSet {
    fn new(
        scope: Scope,
        (ids, reported): (&[CertificateId], bool),
        compiled: &HashMap<&CertificateId, Arc<Active>>,
    ) -> Self {
        let missing = |id: &CertificateId| {
            Arc::new(Active {
                id: id.clone(),
                anchor: Err("the bundle does not hold it".to_owned()),
            })
        };
        let find = |id| compiled.get(id).cloned().unwrap_or_else(|| missing(id));
        let active: Vec<_> = ids.iter().map(find).collect();
        let mut by_key: HashMap<Box<[u8]>, Vec<usize>> = HashMap::new();
        for (index, one) in active.iter().enumerate() {
            if let Ok(anchor) = &one.anchor {
                let indexes = by_key.entry(anchor.subject_key.clone()).or_default();
                indexes.push(index);
            }
        }
        Self {
            scope,
            reported,
            active,
            by_key,
        }
    }
}

/// What is active for a request: at its project, if it has one, and at its organization.
#[derive(Clone, Copy)]
pub(crate) struct Applicable<'t> {
    project: Option<&'t ActiveSet>,
    organization: &'t ActiveSet,
}

/// An anchor whose key identifier fits, and where it is active.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'t> {
    pub(crate) id: &'t CertificateId,
    pub(crate) scope: &'t Scope,
    pub(crate) anchor: &'t TrustedAnchor,
    /// The project's anchors come first, each scope's by activation, oldest first.
    pub(crate) precedence: (Precedence, usize),
}

/// Which scope's anchors come first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precedence {
    Project,
    Organization,
}

impl<'t> Applicable<'t> {
    /// Whether nothing is active, so that no certificate is asked for.
    pub(crate) fn is_empty(self) -> bool {
        self.sets().all(|(_, set)| set.active.is_empty())
    }

    /// The anchors whose key has this identifier, in their order of precedence.
    pub(crate) fn candidates(self, key: &[u8]) -> impl Iterator<Item = Candidate<'t>> {
        self.sets().flat_map(move |(precedence, set)| {
            let indexes = set.by_key.get(key).into_iter().flatten();
            indexes.filter_map(move |&index| {
                let active = set.active.get(index)?;
                Some(Candidate {
                    id: &active.id,
                    scope: &set.scope,
                    anchor: active.anchor.as_ref().ok()?,
                    precedence: (precedence, index),
                })
            })
        })
    }

    /// Everything that is active, with its anchor or why it cannot be one.
    pub(crate) fn all(
        self,
    ) -> impl Iterator<
        Item = (
            &'t CertificateId,
            &'t Scope,
            Result<&'t TrustedAnchor, &'t str>,
        ),
    > {
        self.sets().flat_map(|(_, set)| {
            set.active.iter().map(|active| {
                let anchor = active.anchor.as_ref().map_err(String::as_str);
                (&active.id, &set.scope, anchor)
            })
        })
    }

    /// Whether any of the anchors has a revocation list.
    pub(crate) fn has_lists(self) -> bool {
        self.anchors().any(|anchor| !anchor.lists.is_empty())
    }

    /// The revocation lists of an issuer.
    pub(crate) fn lists_of(self, issuer: IssuerDigest) -> impl Iterator<Item = &'t List> {
        self.anchors()
            .filter_map(move |anchor| anchor.lists.of(issuer))
    }

    fn anchors(self) -> impl Iterator<Item = &'t TrustedAnchor> {
        self.all().filter_map(|(_, _, anchor)| anchor.ok())
    }

    fn sets(self) -> impl Iterator<Item = (Precedence, &'t ActiveSet)> {
        let project = self.project.map(|set| (Precedence::Project, set));
        let organization = (Precedence::Organization, self.organization);
        project.into_iter().chain([organization])
    }
}

impl std::fmt::Debug for TrustSet {
    /// The counts only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustSet")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
