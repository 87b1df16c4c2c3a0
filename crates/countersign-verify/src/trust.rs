//! What is trusted: an organization's anchors by scope and key identifier, compiled once from its
//! bundle, immutable, shared behind an `Arc`.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use countersign_types::{
    UnixSeconds,
    bundle::{BundleCertificate, BundleFloor, BundleRevocation, OrganizationBundle},
    certificate::Scope,
    id::{CertificateId, OrganizationId, ProjectId},
};

use rustls_pki_types::CertificateDer;

use crate::{
    certificate::Anchor,
    crl::IssuerDigest,
    denial,
    denied_by::BelowFloor,
    path::TrustedKey,
    policy::Policy,
    revocation::{List, Lists},
    x509::Certificate,
};

/// The anchors of one organization, ready to judge by.
pub struct TrustSet {
    revision: u64,
    anchors: Arc<Anchors>,
    denials: denial::Denials,
    /// Where denials are only reported, and are here as if they were enforced.
    reported_denials: denial::Reported,
}

/// What is active, by scope.
struct Anchors {
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
    pub(crate) floor: Option<BundleFloor>,
}

impl TrustSet {
    /// Compiles what a gateway was given. Nothing in it makes this fail: a certificate that is
    /// missing, cannot be an anchor, or has a policy that does not compile is active and permits
    /// nothing.
    #[must_use]
    pub fn compile(bundle: &OrganizationBundle) -> Self {
        let anchors = Anchors::compile(bundle, Active::compile, |active, _| (active, false));
        Self::enforced(bundle, Arc::new(anchors))
    }

    /// The same for a bundle that differs from the one that this was compiled from in its denials and keys at
    /// most: the anchors are shared, so that it costs what the denials cost.
    #[must_use]
    pub fn with_denials_of(&self, bundle: &OrganizationBundle) -> Self {
        Self::enforced(bundle, Arc::clone(&self.anchors))
    }

    fn enforced(bundle: &OrganizationBundle, anchors: Arc<Anchors>) -> Self {
        let denials = bundle.denials.iter();
        let enforced = denials.filter(|denial| !denial::is_reported(denial));
        Self {
            revision: bundle.revision,
            anchors,
            denials: denial::Denials::compile(enforced),
            reported_denials: denial::Reported::default(),
        }
    }

    /// What is judged by once all that is only reported is enforced: anchors, policies, floors and denials.
    /// `None` when nothing is only reported, at no scope.
    #[must_use]
    pub fn compile_reported(bundle: &OrganizationBundle) -> Option<Self> {
        let anchors = || Arc::new(Anchors::compile_reported(bundle));
        Self::reported(bundle, anchors)
    }

    /// The same for a bundle that differs in its denials and keys at most from the one that these were compiled
    /// from: what is enforced, and what would be, if anything was only reported.
    #[must_use]
    pub fn reported_with_denials_of(
        bundle: &OrganizationBundle,
        enforced: &Self,
        reported: Option<&Self>,
    ) -> Option<Self> {
        // Without anything reported, the anchors were those that are enforced.
        let anchors = &reported.unwrap_or(enforced).anchors;
        Self::reported(bundle, || Arc::clone(anchors))
    }

    fn reported(
        bundle: &OrganizationBundle,
        anchors: impl FnOnce() -> Arc<Anchors>,
    ) -> Option<Self> {
        let reported_denials = denial::Reported::of(bundle);
        let any = reports_anchors(bundle) || reported_denials.any();
        any.then(|| Self {
            revision: bundle.revision,
            anchors: anchors(),
            denials: denial::Denials::compile(bundle.denials.iter()),
            reported_denials,
        })
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
                    floor: None,
                    reported_floor: None,
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
            keys_sum: None,
            key_changes: None,
            receipt_keys: Vec::new(),
            denials: Vec::new(),
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
        self.reported_denials.at(scope)
            || self
                .applicable(scope)
                .is_some_and(|applicable| applicable.sets().any(|(_, set)| set.reported))
    }

    /// What is active for a request; `None` when its project is not known here.
    pub(crate) fn applicable(&self, scope: &Scope) -> Option<Applicable<'_>> {
        let project = match scope.project() {
            None => None,
            Some(id) => Some(self.anchors.projects.get(id)?),
        };
        Some(Applicable {
            project,
            organization: &self.anchors.organization,
        })
    }

    /// Whether a token is refused in a project because of the leaf that it was exchanged for: its marks
    /// ([`denial::LeafMarks`]) as text.
    #[must_use]
    pub fn denies_token(&self, scope: &Scope, marks: Option<&str>, now: UnixSeconds) -> bool {
        let denied = self.denied(scope);
        if denied.is_empty() {
            return false;
        }
        match marks.map(str::parse) {
            Some(Ok(marks)) => denied.denies(&marks, now),
            Some(Err(denial::InvalidMarks)) => true,
            // Of an earlier version's control plane: it lives an hour at most.
            None => false,
        }
    }

    /// What is denied for a request.
    pub(crate) fn denied(&self, scope: &Scope) -> denial::Applicable<'_> {
        self.denials.applicable(scope)
    }
}

impl Anchors {
    /// With the anchors, policies and floors that are only reported counted as enforced.
    fn compile_reported(bundle: &OrganizationBundle) -> Self {
        let certificates = bundle.certificates.iter();
        let reported: HashSet<&CertificateId> = certificates
            .filter(|certificate| reports_more(certificate))
            .map(|certificate| &certificate.id)
            .collect();
        let compile = Active::compile_reported;
        Self::compile(bundle, compile, |active, with_reported| {
            if with_reported.is_empty() {
                (active, active.iter().any(|id| reported.contains(id)))
            } else {
                (with_reported, true)
            }
        })
    }

    /// Compiles what `pick` takes of a scope's anchors: those enforced, or those that are active
    /// at all; and whether it took any that are only reported.
    fn compile<'b>(
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
            organization: ActiveSet::new(Scope::Organization, picked, &compiled),
            projects: projects.collect(),
        }
    }
}

/// Whether a policy or a floor of the certificate is only reported.
const fn reports_more(certificate: &BundleCertificate) -> bool {
    certificate.reported_policy.is_some() || certificate.reported_floor.is_some()
}

/// Whether an anchor, a policy or a floor is only reported, at any scope.
fn reports_anchors(bundle: &OrganizationBundle) -> bool {
    let mut projects = bundle.projects.iter();
    bundle.certificates.iter().any(reports_more)
        || !bundle.with_reported.is_empty()
        || projects.any(|project| !project.with_reported.is_empty())
}

impl Active {
    fn compile(certificate: &BundleCertificate) -> Self {
        Self {
            id: certificate.id.clone(),
            anchor: TrustedAnchor::compile(
                certificate,
                certificate.cel_policy.as_deref(),
                certificate.floor.as_ref(),
            ),
        }
    }

    /// The same with the policy and the floor that are only reported, if there are any.
    fn compile_reported(certificate: &BundleCertificate) -> Self {
        let reported = certificate.reported_policy.as_deref();
        let policy = reported.or(certificate.cel_policy.as_deref());
        Self {
            id: certificate.id.clone(),
            anchor: TrustedAnchor::compile(
                certificate,
                policy,
                certificate
                    .reported_floor
                    .as_ref()
                    .or(certificate.floor.as_ref()),
            ),
        }
    }
}

impl TrustedAnchor {
    fn compile(
        certificate: &BundleCertificate,
        policy: Option<&str>,
        floor: Option<&BundleFloor>,
    ) -> Result<Self, String> {
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
            floor: floor.cloned(),
        })
    }

    /// Why a leaf that was issued at this time is refused under it, if it is.
    pub(crate) fn below_floor(&self, not_before: UnixSeconds) -> Option<BelowFloor> {
        let floor = self.floor.as_ref()?;
        (not_before < floor.refuse_issued_before).then(|| BelowFloor {
            not_before,
            floor: floor.clone(),
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
