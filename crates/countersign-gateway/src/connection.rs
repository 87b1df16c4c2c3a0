//! One TLS connection: the chain that it presented, and what is remembered of its requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicU64},
};

use countersign_types::{UnixSeconds, certificate::Scope, id::ApiKeyId};
use countersign_verify::{denial::Denial, presented::Presented};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    caller::identity::{Identity, Organization},
    observing::tally::{Observer, Tally},
    verdict::{
        authorization::Authorization, chain::Chain, outcome::Outcome,
        report_only::ReportOnlyVerdict,
    },
};

/// The most verdicts that one connection remembers: one for each key that takes turns on it.
const MAX_REMEMBERED: usize = 8;

/// How requests of one caller passed.
#[derive(Debug)]
struct Remembered {
    /// As it was compiled then, and not its revision: after a restored backup another history may
    /// have the same number.
    organization: Weak<Organization>,
    scope: Scope,
    key: Option<ApiKeyId>,
    authorization: Arc<Authorization>,
    /// None until a request is counted.
    tally: Option<Arc<Tally>>,
}

impl Remembered {
    fn is_of(&self, identity: &Identity) -> bool {
        self.scope == identity.scope && self.key == identity.key
    }

    fn holds(&self, identity: &Identity, now: UnixSeconds) -> bool {
        // The address cannot be another organization's: the weak pointer keeps it allocated.
        std::ptr::eq(
            self.organization.as_ptr(),
            Arc::as_ptr(&identity.organization),
        ) && self.is_of(identity)
            && self.authorization.holds_at(now)
    }
}

/// What a connection remembers: how its requests passed, and what counts those that did not.
#[derive(Debug, Default)]
struct Memory {
    passed: Vec<Remembered>,
    refused: Vec<Arc<Tally>>,
}

/// One of the connections that there may be at once, and one that a stop waits for. It is kept
/// until nothing of the connection lives: an upgraded stream outlives HTTP on it.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    _permit: OwnedSemaphorePermit,
    _under_way: TaskTrackerToken,
}

impl ConnectionSlot {
    pub(crate) const fn new(permit: OwnedSemaphorePermit, under_way: TaskTrackerToken) -> Self {
        Self {
            _permit: permit,
            _under_way: under_way,
        }
    }
}

/// One TLS connection.
#[derive(Debug)]
pub(crate) struct Connection {
    chain: Arc<Chain>,
    pub(crate) peer: SocketAddr,
    memory: Mutex<Memory>,
    _slot: Option<ConnectionSlot>,
    /// How many requests arrived on it.
    pub(crate) requests: AtomicU64,
}

impl Connection {
    /// A connection that keeps its slot until it is dropped.
    pub(crate) fn new(
        presented: Presented,
        peer: SocketAddr,
        slot: impl Into<Option<ConnectionSlot>>,
    ) -> Self {
        Self {
            chain: Arc::new(Chain::new(presented)),
            peer,
            memory: Mutex::default(),
            _slot: slot.into(),
            requests: AtomicU64::new(0),
        }
    }

    /// What the client presented. The handshake proved that it holds the leaf's key; nothing else
    /// of it is trusted.
    pub(crate) fn presented(&self) -> &Presented {
        &self.chain.presented
    }

    /// Whether a request of this caller passes on this connection now. A verdict is remembered for
    /// as long as the very trust that it was made under is enforced, never past its expiry; a
    /// denial is not remembered. With an observer, a request that passes is counted.
    pub(crate) fn authorize(
        &self,
        identity: &Identity,
        now: UnixSeconds,
        observer: Option<&Observer>,
    ) -> Result<Arc<Authorization>, Box<Denial>> {
        let mut memory = self.lock();
        let known = memory
            .passed
            .iter_mut()
            .find(|each| each.holds(identity, now));
        if let Some(known) = known {
            if let Some(observer) = observer {
                match &known.tally {
                    Some(tally) => tally.count(now),
                    None => {
                        known.tally =
                            self.start_tally(observer, identity, &known.authorization, now);
                    }
                }
            }
            return Ok(Arc::clone(&known.authorization));
        }
        let organization = &identity.organization;
        let authorization = organization
            .trust
            .authorize(&identity.scope, &self.chain, now)?;
        // What is remembered of this caller no longer holds: it is replaced.
        memory.passed.retain(|each| !each.is_of(identity));
        if memory.passed.len() >= MAX_REMEMBERED {
            memory.passed.remove(0);
        }
        let start = |observer| self.start_tally(observer, identity, &authorization, now);
        memory.passed.push(Remembered {
            organization: Arc::downgrade(organization),
            scope: identity.scope.clone(),
            key: identity.key.clone(),
            tally: observer.and_then(start),
            authorization: Arc::clone(&authorization),
        });
        Ok(authorization)
    }

    /// Starts to count requests that pass.
    fn start_tally(
        &self,
        observer: &Observer,
        identity: &Identity,
        authorization: &Authorization,
        now: UnixSeconds,
    ) -> Option<Arc<Tally>> {
        observer.start(identity, &self.chain, Outcome::passed(authorization), now)
    }

    /// Counts a request that was refused.
    pub(crate) fn count_refused(
        &self,
        identity: &Identity,
        outcome: Outcome,
        now: UnixSeconds,
        observer: &Observer,
    ) {
        let refused = &mut self.lock().refused;
        let is_it = |tally: &&Arc<Tally>| tally.counts(identity, &outcome);
        if let Some(tally) = refused.iter().find(is_it) {
            tally.count(now);
            return;
        }
        if refused.len() >= MAX_REMEMBERED {
            refused.remove(0);
        }
        refused.extend(observer.start(identity, &self.chain, outcome, now));
    }

    /// What anchors that are only reported would say about a request that is refused.
    pub(crate) fn report_only(
        &self,
        identity: &Identity,
        now: UnixSeconds,
    ) -> Option<Arc<ReportOnlyVerdict>> {
        let trust = &identity.organization.trust;
        trust.report_only(&identity.scope, self.presented(), now)
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{credential::Credential, snapshot::Snapshot};
    use countersign_testca::root;
    use countersign_types::{
        bundle::{BundleCertificate, BundleProject, OrganizationBundle},
        id::{CertificateId, OrganizationId, ProjectId},
    };

    fn snapshot(active: bool) -> Snapshot {
        let anchor = CertificateId::from_random(1);
        let certificate = BundleCertificate {
            id: anchor.clone(),
            pem: root("Client CA").mint().pem(),
            cel_policy: None,
        };
        let bundle = OrganizationBundle {
            id: OrganizationId::from_random(1),
            revision: 7,
            digest: None,
            certificates: vec![certificate],
            active: if active { vec![anchor] } else { Vec::new() },
            with_reported: Vec::new(),
            projects: vec![BundleProject {
                id: ProjectId::from_random(1),
                archived: false,
                active: Vec::new(),
                with_reported: Vec::new(),
            }],
            keys: Vec::new(),
        };
        Snapshot::default().after(7, true, vec![bundle], &[])
    }

    fn passes(connection: &Connection, snapshot: &Snapshot) -> bool {
        let credential = Credential::FixedProject(ProjectId::from_random(1));
        let identity = snapshot.identity(&credential, 0).unwrap();
        connection.authorize(identity, 0, None).is_ok()
    }

    #[test]
    fn a_verdict_of_another_history_with_the_same_number_is_not_remembered() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(Presented::default(), peer, None);
        let open = snapshot(false);
        assert!(passes(&connection, &open));
        assert!(!passes(&connection, &snapshot(true)));
    }
}
