//! One TLS connection: the chain that it presented, and the verdicts that are remembered for it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::AtomicU64},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_types::{
    UnixSeconds,
    certificate::Scope,
    digest::{ChainDigest, Sha256},
    id::ApiKeyId,
};
use countersign_verify::{
    denial::Denial,
    judge::{Verdict, judge},
    permit::{NoAnchorApplies, Permit},
    presented::Presented,
};
use http::HeaderValue;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    identify::{Identity, Organization},
    reported::Reported,
    tally::{Chain, Observer, Outcome, Tally},
};

/// The most verdicts that one connection remembers: one for each key that takes turns on it.
const MAX_REMEMBERED: usize = 8;

/// The most passed chains that are remembered for an organization's revision.
const MAX_SEEN: usize = 16_384;

/// What lets a request through: nothing else can be forwarded with.
#[derive(Debug)]
pub(crate) struct Authorization {
    /// How it passed.
    pub(crate) passed: Passed,
    /// What anchors that are only reported would make of it, where there are any.
    pub(crate) reported: Option<Arc<Reported>>,
    /// As they go upstream, when a certificate was verified.
    pub(crate) certificate_headers: Option<CertificateHeaders>,
}

/// How a request passed.
#[derive(Debug)]
pub(crate) enum Passed {
    /// Its certificate verified.
    Verified(Permit),
    /// No anchor is active for it.
    Open(NoAnchorApplies),
}

/// The verified certificate, as it is named upstream.
#[derive(Debug)]
pub(crate) struct CertificateHeaders {
    pub(crate) certificate: HeaderValue,
    pub(crate) leaf_sha256: HeaderValue,
}

impl Authorization {
    fn new(passed: Passed, reported: Option<Arc<Reported>>) -> Self {
        let certificate_headers = match &passed {
            Passed::Open(_) => None,
            Passed::Verified(permit) => Some(CertificateHeaders {
                certificate: header(permit.anchor().as_str()),
                leaf_sha256: header(&permit.leaf_sha256().to_string()),
            }),
        };
        Self {
            passed,
            reported,
            certificate_headers,
        }
    }

    fn outcome(&self) -> Outcome {
        let permit = match &self.passed {
            Passed::Verified(permit) => Some(permit),
            Passed::Open(_) => None,
        };
        Outcome::passed(permit, self.reported.as_deref())
    }

    /// Whether it still lets requests through at this moment, and still reports what is so.
    pub(crate) fn holds_at(&self, now: UnixSeconds) -> bool {
        let holds = match &self.passed {
            Passed::Verified(permit) => permit.holds_at(now),
            Passed::Open(_) => true,
        };
        holds
            && self
                .reported
                .as_ref()
                .is_none_or(|reported| reported.holds_at(now))
    }
}

/// A header value of ASCII that was checked before: an id, hexadecimal, base 64.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Chains that passed under one revision of one organization.
pub(crate) type Seen = HashMap<(Scope, ChainDigest), Arc<Authorization>>;

#[derive(Debug)]
struct Remembered {
    /// As it was compiled then. Not its revision: after a restored backup another history may
    /// have the same number.
    organization: Weak<Organization>,
    scope: Scope,
    key: Option<ApiKeyId>,
    authorization: Arc<Authorization>,
    /// None until a request is counted.
    tally: Option<Arc<Tally>>,
}

/// What a connection remembers: how its requests passed, and what counts those that did not.
#[derive(Debug, Default)]
struct Memory {
    passed: Vec<Remembered>,
    refused: Vec<Arc<Tally>>,
}

/// A connection's place among those that there may be at once, and among those that a stop waits
/// for. An upgraded stream keeps it when HTTP has let the connection go.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _under_way: TaskTrackerToken,
}

impl Place {
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
    place: Option<Place>,
    /// How many requests came on it.
    pub(crate) requests: AtomicU64,
}

impl Connection {
    pub(crate) fn new(presented: Presented, peer: SocketAddr) -> Self {
        Self {
            chain: Arc::new(Chain::new(presented)),
            peer,
            memory: Mutex::default(),
            place: None,
            requests: AtomicU64::new(0),
        }
    }

    /// Keeps a place until nothing of the connection lives.
    pub(crate) fn holding(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    fn presented(&self) -> &Presented {
        &self.chain.presented
    }

    /// The SHA-256 of the leaf, when one was presented.
    pub(crate) fn leaf_sha256(&self) -> Option<Sha256> {
        self.presented().leaf().map(Sha256::of)
    }

    /// The leaf and the rest of the chain as RFC 9440 writes them (sections 2.2 and 2.3).
    pub(crate) fn rfc9440(&self) -> (Option<HeaderValue>, Option<HeaderValue>) {
        let item = |der: &[u8]| format!(":{}:", STANDARD.encode(der));
        let rest: Vec<String> = self
            .presented()
            .intermediates()
            .iter()
            .map(|each| item(each))
            .collect();
        (
            self.presented().leaf().map(|leaf| header(&item(leaf))),
            (!rest.is_empty()).then(|| header(&rest.join(", "))),
        )
    }

    /// The leaf's hash as Envoy writes it in `X-Forwarded-Client-Cert`.
    pub(crate) fn xfcc(&self) -> Option<HeaderValue> {
        self.leaf_sha256()
            .map(|hash| header(&format!("Hash={hash}")))
    }

    /// Whether a request of this identity passes on this connection now. A verdict is remembered
    /// for the connection and what is enforced, never past its expiry; a denial never is. With an
    /// observer, a request that passes is counted.
    pub(crate) fn authorize(
        &self,
        identity: &Identity,
        now: UnixSeconds,
        observer: Option<&Observer>,
    ) -> Result<Arc<Authorization>, Box<Denial>> {
        let organization = &identity.organization;
        let mut memory = self.lock();
        let known = memory.passed.iter_mut().find(|each| {
            std::ptr::eq(each.organization.as_ptr(), Arc::as_ptr(organization))
                && each.scope == identity.scope
                && each.key == identity.key
                && each.authorization.holds_at(now)
        });
        if let Some(known) = known {
            if let Some(observer) = observer {
                match &known.tally {
                    Some(tally) => tally.count(now),
                    None => known.tally = self.begin(observer, identity, &known.authorization, now),
                }
            }
            return Ok(Arc::clone(&known.authorization));
        }
        let authorization = self.judge(organization, &identity.scope, now)?;
        let of_another =
            |each: &Remembered| each.scope != identity.scope || each.key != identity.key;
        memory.passed.retain(of_another);
        if memory.passed.len() >= MAX_REMEMBERED {
            memory.passed.remove(0);
        }
        let begin = |observer| self.begin(observer, identity, &authorization, now);
        memory.passed.push(Remembered {
            organization: Arc::downgrade(organization),
            scope: identity.scope.clone(),
            key: identity.key.clone(),
            tally: observer.and_then(begin),
            authorization: Arc::clone(&authorization),
        });
        Ok(authorization)
    }

    /// Begins to count requests that pass.
    fn begin(
        &self,
        observer: &Observer,
        identity: &Identity,
        authorization: &Authorization,
        now: UnixSeconds,
    ) -> Option<Arc<Tally>> {
        observer.begin(identity, &self.chain, authorization.outcome(), now)
    }

    /// Counts a request that was refused.
    pub(crate) fn refuse(
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
        refused.extend(observer.begin(identity, &self.chain, outcome, now));
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What anchors that are only reported would make of a request that is refused.
    pub(crate) fn report(&self, identity: &Identity, now: UnixSeconds) -> Option<Arc<Reported>> {
        Reported::judge(
            &identity.organization,
            &identity.scope,
            self.presented(),
            now,
        )
    }

    fn judge(
        &self,
        organization: &Organization,
        scope: &Scope,
        now: UnixSeconds,
    ) -> Result<Arc<Authorization>, Box<Denial>> {
        let place = (scope.clone(), self.chain.digest);
        let seen = || {
            organization
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = seen().get(&place).filter(|known| known.holds_at(now)) {
            return Ok(Arc::clone(known));
        }
        let passed = match judge(&organization.trust, scope, self.presented(), now) {
            Verdict::Permit(permit) => Passed::Verified(permit),
            Verdict::NoAnchorApplies(open) => Passed::Open(open),
            Verdict::Denial(denial) => return Err(Box::new(denial)),
        };
        let reported = Reported::judge(organization, scope, self.presented(), now);
        let authorization = Arc::new(Authorization::new(passed, reported));
        let mut seen = seen();
        if seen.len() >= MAX_SEEN {
            seen.clear();
        }
        seen.insert(place, Arc::clone(&authorization));
        Ok(authorization)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::{Credential, Snapshot};
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
        Snapshot::default().after(7, true, vec![bundle])
    }

    fn passes(connection: &Connection, snapshot: &Snapshot) -> bool {
        let credential = Credential::FixedProject(ProjectId::from_random(1));
        let identity = snapshot.identity(&credential, 0).unwrap();
        connection.authorize(identity, 0, None).is_ok()
    }

    #[test]
    fn a_verdict_of_another_history_with_the_same_number_is_not_remembered() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = Connection::new(Presented::default(), peer);
        let open = snapshot(false);
        assert!(passes(&connection, &open));
        assert!(!passes(&connection, &snapshot(true)));
    }
}
