//! Organizations and traffic to preview on.

use std::collections::HashMap;

use countersign_server::{
    preview::Observed,
    store::{ObservedIdentity, Workload},
};
use countersign_testca::Minted;
use countersign_types::{
    api_key::KeyKind,
    bundle::{BundleCertificate, BundleKey, BundleProject, OrganizationBundle},
    digest::ChainDigest,
    digest::KeyDigest,
    id::{ApiKeyId, CertificateId, OrganizationId, ProjectId},
    workload::ObservedWorkload,
};
use countersign_verify::presented::Presented;
use rustls_pki_types::CertificateDer;

/// 2026-11-23, inside of what testca mints by default.
pub(crate) const NOW: u64 = 1_795_392_000;

pub(crate) fn certificate(number: u128) -> CertificateId {
    CertificateId::from_random(number)
}

pub(crate) fn project(number: u128) -> ProjectId {
    ProjectId::from_random(number)
}

pub(crate) fn key(number: u128) -> ApiKeyId {
    ApiKeyId::from_random(number)
}

/// An organization with these projects, a key in each (of the same number) and an admin key, 100.
pub(crate) fn organization(projects: u128) -> OrganizationBundle {
    let keys = (0..projects).map(|number| (number, KeyKind::Project, Some(project(number))));
    OrganizationBundle {
        id: OrganizationId::from_random(1),
        federation: None,
        audit: None,
        keys_sum: None,
        key_changes: None,
        receipt_keys: Vec::new(),
        denials: Vec::new(),
        revision: 1,
        digest: None,
        certificates: Vec::new(),
        active: Vec::new(),
        with_reported: Vec::new(),
        projects: (0..projects)
            .map(|number| BundleProject {
                id: project(number),
                archived: false,
                active: Vec::new(),
                with_reported: Vec::new(),
            })
            .collect(),
        keys: keys
            .chain([(100, KeyKind::Admin, None)])
            .map(|(number, kind, project)| BundleKey {
                id: key(number),
                kind,
                sha256: KeyDigest::of(number.to_le_bytes()),
                project,
                expires_at: None,
            })
            .collect(),
    }
}

/// An anchor of this number.
pub(crate) fn anchor(number: u128, minted: &Minted, policy: Option<&str>) -> BundleCertificate {
    BundleCertificate {
        id: certificate(number),
        pem: minted.pem(),
        cel_policy: policy.map(str::to_owned),
        reported_policy: None,
        revocation: None,
        floor: None,
        reported_floor: None,
    }
}

pub(crate) fn presented(chain: &[Vec<u8>]) -> Presented {
    let ders = chain.iter().map(|der| CertificateDer::from(der.clone()));
    Presented::new(ders.collect())
}

/// Adds a chain to the traffic; what it is found by.
pub(crate) fn keep(observed: &mut Observed, chain: &[Vec<u8>]) -> Option<ChainDigest> {
    if chain.is_empty() {
        return None;
    }
    let digest = presented(chain).sha256();
    let leaf = countersign_verify::certificate::LeafSummary::of(&chain[0]);
    let identity = ObservedIdentity {
        certificates: chain.to_vec(),
        leaf,
    };
    observed.chains.insert(digest, identity);
    Some(digest)
}

/// What was seen of a caller; the admin key when there is no project.
pub(crate) fn seen(at: Option<u128>, chain: Option<ChainDigest>, requests: u64) -> Workload {
    Workload {
        identity: ObservedWorkload {
            project: at.map(project),
            key: Some(key(at.unwrap_or(100))),
            chain,
        },
        requests,
        first_seen: NOW - 1000,
        last_seen: NOW - requests,
        code: None,
        anchor: None,
    }
}

pub(crate) fn traffic(workloads: Vec<Workload>) -> Observed {
    Observed {
        workloads,
        chains: HashMap::new(),
    }
}
