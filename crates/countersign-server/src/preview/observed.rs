//! The traffic that a change is tried on.

use std::collections::HashMap;

use countersign_types::{
    digest::{ChainDigest, Sha256},
    workload::WorkloadLeaf,
};

use crate::store::{ObservedIdentity, Workload};

/// The traffic of an organization as it was observed, or a part of it.
#[derive(Debug, Default)]
pub struct Observed {
    /// Who called, with which chain.
    pub workloads: Vec<Workload>,
    /// The chains, by their digest.
    pub chains: HashMap<ChainDigest, ObservedIdentity>,
}

/// What identifies the leaf of a chain that was observed; none if the chain is not kept.
pub(crate) fn leaf(observed: &Observed, chain: ChainDigest) -> Option<WorkloadLeaf> {
    let identity = observed.chains.get(&chain)?;
    let der = identity.certificates.first()?;
    Some(WorkloadLeaf {
        sha256: Sha256::of(der),
        subject: identity.leaf.subject.clone(),
        sans: identity.leaf.names.clone(),
    })
}
