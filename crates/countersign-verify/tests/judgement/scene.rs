//! Sets the scene of a case and words its verdict, so that a case is a line.

use countersign_testca::Minted;
use countersign_types::{
    UnixSeconds,
    bundle::{
        BundleCertificate, BundleDenial, BundleFloor, BundleProject, BundleRevocation,
        OrganizationBundle,
    },
    certificate::{Enforcement, Scope},
    denial::DenialMatch,
    id::OrganizationId,
};
use countersign_verify::{
    judge::{Verdict, judge},
    presented::Presented,
    refusal::Finding,
    trust::TrustSet,
};
use rustls_pki_types::CertificateDer;

/// 2026-11-23, inside of what testca mints by default.
pub(crate) const NOW: UnixSeconds = 1_795_392_000;
/// The revision of every scene's bundle.
pub(crate) const REVISION: u64 = 7;

/// A bundle in the making.
pub(crate) struct Trust(OrganizationBundle);

/// An organization where these are active, `cert_1`, `cert_2` and so on.
pub(crate) fn organization(anchors: &[&Minted]) -> Trust {
    let pems: Vec<_> = anchors.iter().map(|anchor| anchor.pem()).collect();
    of_pems(&pems)
}

/// The same of anchors that were minted elsewhere.
pub(crate) fn of_pems(anchors: &[String]) -> Trust {
    let mut trust = Trust(OrganizationBundle {
        id: OrganizationId::from_random(0),
        revision: REVISION,
        digest: None,
        certificates: Vec::new(),
        active: Vec::new(),
        with_reported: Vec::new(),
        projects: Vec::new(),
        keys: Vec::new(),
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: Vec::new(),
    });
    for (anchor, number) in anchors.iter().zip(1..) {
        let id = format!("cert_{number}");
        trust = trust.with(&id, anchor);
        trust.0.active.push(id.parse().unwrap());
    }
    trust
}

impl Trust {
    /// With this certificate, active nowhere yet.
    pub(crate) fn with(mut self, id: &str, pem: &str) -> Self {
        self.0.certificates.push(BundleCertificate {
            id: id.parse().unwrap(),
            pem: pem.to_owned(),
            cel_policy: None,
            reported_policy: None,
            revocation: None,
            floor: None,
            reported_floor: None,
        });
        self
    }

    /// With these active for the organization, after the others.
    pub(crate) fn active(mut self, ids: &[&str]) -> Self {
        self.0
            .active
            .extend(ids.iter().map(|id| id.parse().unwrap()));
        self
    }

    /// With a project where these are active.
    pub(crate) fn project(mut self, project: &str, ids: &[&str]) -> Self {
        self.0.projects.push(BundleProject {
            id: project.parse().unwrap(),
            archived: false,
            active: ids.iter().map(|id| id.parse().unwrap()).collect(),
            with_reported: Vec::new(),
        });
        self
    }

    /// With these only reported for the organization: as old as they stand among those enforced.
    pub(crate) fn with_reported(mut self, ids: &[&str]) -> Self {
        self.0.with_reported = ids.iter().map(|id| id.parse().unwrap()).collect();
        self
    }

    /// With the latest project's anchors only reported so.
    pub(crate) fn project_with_reported(mut self, ids: &[&str]) -> Self {
        let project = self.0.projects.last_mut().unwrap();
        project.with_reported = ids.iter().map(|id| id.parse().unwrap()).collect();
        self
    }

    /// What would be judged by once everything that is reported is enforced.
    pub(crate) fn compile_reported(&self) -> Option<TrustSet> {
        TrustSet::compile_reported(&self.0)
    }

    /// With this policy only reported on every certificate so far.
    pub(crate) fn reported_policy(mut self, policy: &str) -> Self {
        for certificate in &mut self.0.certificates {
            certificate.reported_policy = Some(policy.to_owned());
        }
        self
    }

    /// With these revocation lists for the anchor of this number, the first being 1.
    pub(crate) fn revocation(mut self, number: usize, revocation: BundleRevocation) -> Self {
        let certificate = self.0.certificates.get_mut(number - 1).unwrap();
        certificate.revocation = Some(revocation);
        self
    }

    /// With a denial of the organization that is in force.
    pub(crate) fn denied(mut self, id: &str, matches: DenialMatch) -> Self {
        self.0.denials.push(BundleDenial {
            id: id.parse().unwrap(),
            name: "stolen laptop".to_owned(),
            matches,
            project: None,
            enforcement: Enforcement::Enforce,
            created_by: "key_1".parse().unwrap(),
            created_at: NOW - 13_600,
            expires_at: None,
        });
        self
    }

    fn latest_denial(&mut self) -> &mut BundleDenial {
        self.0.denials.last_mut().unwrap()
    }

    /// With the latest denial in a project alone.
    pub(crate) fn denied_in(mut self, project: &str) -> Self {
        self.latest_denial().project = Some(project.parse().unwrap());
        self
    }

    /// With the latest denial until a second.
    pub(crate) fn denied_until(mut self, end: UnixSeconds) -> Self {
        self.latest_denial().expires_at = Some(end);
        self
    }

    /// With the latest denial only reported.
    pub(crate) fn only_reported(mut self) -> Self {
        self.latest_denial().enforcement = Enforcement::Report;
        self
    }

    /// With this floor on a certificate.
    pub(crate) fn floor(mut self, id: &str, floor: BundleFloor) -> Self {
        let mut certificates = self.0.certificates.iter_mut();
        let found = certificates.find(|certificate| certificate.id.as_str() == id);
        found.unwrap().floor = Some(floor);
        self
    }

    pub(crate) const fn bundle(&self) -> &OrganizationBundle {
        &self.0
    }

    pub(crate) const fn bundle_mut(&mut self) -> &mut OrganizationBundle {
        &mut self.0
    }

    /// With this policy on every certificate so far.
    pub(crate) fn policy(mut self, policy: &str) -> Self {
        for certificate in &mut self.0.certificates {
            certificate.cel_policy = Some(policy.to_owned());
        }
        self
    }

    pub(crate) fn compile(&self) -> TrustSet {
        TrustSet::compile(&self.0)
    }

    /// Judges at [`NOW`], at the organization.
    pub(crate) fn judge(&self, presented: &Presented) -> Verdict {
        judge(&self.compile(), &Scope::Organization, presented, NOW)
    }

    pub(crate) fn judge_for(&self, project: &str, presented: &Presented) -> Verdict {
        let scope = Scope::Project(project.parse().unwrap());
        judge(&self.compile(), &scope, presented, NOW)
    }
}

/// What a client presents.
pub(crate) fn present(chain: &[&Minted]) -> Presented {
    let ders = chain
        .iter()
        .map(|one| CertificateDer::from(one.der().to_vec()));
    Presented::new(ders.collect())
}

/// A verdict in words: `permit ANCHOR SCOPE`, `no anchor applies`, or the code followed by a line
/// for each finding, `STEP ANCHOR CERTIFICATE REASON`.
pub(crate) fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Permit(permit) => {
            assert_eq!(permit.revision(), REVISION);
            format!("permit {}", at(permit.anchor().as_str(), permit.scope()))
        }
        Verdict::NoAnchorApplies(proof) => {
            assert_eq!(proof.revision(), REVISION);
            "no anchor applies".to_owned()
        }
        Verdict::Refusal(refusal) => {
            assert_eq!(refusal.revision(), REVISION);
            let findings: Vec<_> = refusal.trace().iter().map(finding).collect();
            format!("{}: {}", refusal.code().as_str(), findings.join(", "))
        }
    }
}

fn finding(finding: &Finding) -> String {
    let step = serde_json::to_value(finding.step).unwrap();
    let anchor = finding.anchor.as_ref();
    let anchor = anchor.map_or_else(|| "-".to_owned(), |(id, scope)| at(id.as_str(), scope));
    let place = finding
        .certificate
        .map_or_else(|| "-".to_owned(), |at| at.to_string());
    let reason = finding.reason.name();
    format!("{} {anchor} {place} {reason}", step.as_str().unwrap())
}

fn at(id: &str, scope: &Scope) -> String {
    match scope {
        Scope::Organization => id.to_owned(),
        Scope::Project(project) => format!("{id}@{project}"),
    }
}

/// Checks a verdict's words.
pub(crate) fn check(case: &str, verdict: &Verdict, expected: &str) {
    assert_eq!(words(verdict), expected, "{case}");
}

/// A code without its trace, for what the trace is shown elsewhere.
pub(crate) fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Refusal(refusal) => refusal.code().as_str(),
        other => panic!("no refusal: {other:?}"),
    }
}
