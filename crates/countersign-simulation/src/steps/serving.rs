//! The control plane at work: what its handlers do with a request, on the real store.

use countersign_gateway::sync::messages::{Failure, Input, Pull, Report};
use countersign_server::store::{GatewayReport, Reach, StoreError};
use countersign_types::{
    bundle::{Bundle, BundleDigests, OrganizationDigest},
    capability::Capability,
    history::HistoryPoint,
    id::{ApiKeyId, GatewayId},
};

use crate::{
    agenda::{Ask, Event, Sent, Ticket, Trouble},
    fault::Fault,
    plane::Held,
    world::World,
};

impl World {
    /// A node takes a request.
    pub(crate) fn serve(&mut self, sent: Sent) {
        let nodes = self.plane.nodes.len();
        let connection = usize::try_from(sent.connection).unwrap_or(0);
        let first = sent.ticket.gateway + connection;
        let mut turns = (0..nodes).map(|turn| (first + turn) % nodes);
        let up = turns.find(|node| {
            self.plane
                .nodes
                .get(*node)
                .is_some_and(|node| node.store.is_some())
        });
        let Some(node) = up else {
            return self.unreachable(&sent);
        };
        if self.plane.nodes.get(node).is_some_and(|node| node.refusing) {
            return self.fail(&sent, Failure::Refused);
        }
        self.note(|| {
            format!(
                "node {node} takes {} of gateway {}",
                sent.ticket.number, sent.ticket.gateway
            )
        });
        match sent.ask.clone() {
            Ask::Pull(pull) => self.take_pull(node, sent, pull),
            Ask::Digests(from) => {
                let Some(store) = self.store(node) else {
                    return;
                };
                let page = store.bundle_digests_page(&Reach::All, from.as_ref());
                match self.runtime.block_on(page) {
                    Ok(mut digests) => {
                        self.plant_in_digests(sent.ticket.gateway, &mut digests);
                        self.answer(sent, Input::Digests(digests));
                    }
                    Err(error) => self.store_failed(&sent, &error),
                }
            }
            Ask::Fetch(ids) => {
                let Some(store) = self.store(node) else {
                    return;
                };
                match self.runtime.block_on(store.organization_bundles(&ids)) {
                    Ok(mut bundle) => {
                        self.plant_in_fetched(&mut bundle);
                        self.answer(sent, Input::Fetched(carried(&bundle)));
                    }
                    Err(error) => self.store_failed(&sent, &error),
                }
            }
            Ask::Goodbye => self.forget(node, sent.ticket.gateway),
        }
    }

    pub(crate) fn store(&mut self, node: usize) -> Option<countersign_server::store::Store> {
        let clock = self.clock();
        let node = self.plane.nodes.get(node)?;
        node.set_clock(clock);
        node.store.clone()
    }

    fn store_failed(&mut self, sent: &Sent, error: &StoreError) {
        let text = error.to_string();
        self.note(|| format!("the store fails: {text}"));
        self.unreachable(sent);
    }

    fn take_pull(&mut self, node: usize, sent: Sent, pull: Pull) {
        if pull.report != Report::Nothing {
            let durable = pull.report == Report::Durable;
            if let Err(error) = self.record(node, sent.ticket.gateway, pull.after, durable) {
                return self.store_failed(&sent, &error);
            }
        }
        let after = if self.has(Fault::RevisionOnly) {
            let known = self.truth.history.get(&pull.after.revision);
            known.copied().unwrap_or(HistoryPoint::START)
        } else {
            pull.after
        };
        let Some(store) = self.store(node) else {
            return;
        };
        let waiting = store.wait_after(after);
        let ticket = sent.ticket;
        let held = Held {
            sent,
            after,
            waiting,
        };
        if !self.look(node, held, pull.wait.is_zero()) {
            self.after(pull.wait, Event::HoldEnds(ticket));
        }
    }

    /// Answers a held pull if there is something, or it is the last look. Else it is held on.
    fn look(&mut self, node: usize, mut held: Held, last: bool) -> bool {
        let clock = self.clock();
        if let Some(node) = self.plane.nodes.get(node) {
            node.set_clock(clock);
        }
        match self.runtime.block_on(held.waiting.look(last)) {
            Ok(Some(answer)) => self.answer_pull(node, held, (**answer).clone()),
            Ok(None) => {
                if let Some(node) = self.plane.nodes.get_mut(node) {
                    node.held.push(held);
                }
                return false;
            }
            Err(error) => self.store_failed(&held.sent, &error),
        }
        true
    }

    fn answer_pull(&mut self, node: usize, held: Held, mut bundle: Bundle) {
        let number = held.sent.ticket.gateway;
        if self.has(Fault::ForgottenOrganization) && self.chance.one_in(8) {
            bundle.organizations.pop();
        }
        if self.has(Fault::ForgottenDenials) {
            let organizations = bundle.organizations.iter_mut();
            organizations.for_each(|each| each.denials.clear());
        }
        let point = bundle.point();
        if let Some(edge) = self.edge_mut(number) {
            edge.last_sent = Some(point);
            if edge.loses
                && !bundle.complete
                && let Some(lost) = bundle.organizations.pop()
            {
                (edge.loses, edge.lost) = (false, Some(lost.id));
            }
        }
        // A failure of the store only means that nothing is planted.
        if self.has(Fault::AnswerIsReport) {
            let _ = self.record(node, number, point, true);
        }
        // Which pull it is by then, is known where it arrives.
        self.answer(held.sent, Input::Pulled(0, carried(&bundle)));
    }

    fn plant_in_digests(&self, number: usize, digests: &mut BundleDigests) {
        let edge = self.edge(number).and_then(|edge| edge.process.as_ref());
        let held = edge.map(|process| process.driven.digests());
        let held = held.unwrap_or_default().into_iter();
        if self.has(Fault::BlindComparison) {
            let held = held
                .filter_map(|(id, digest)| digest.map(|digest| OrganizationDigest { id, digest }));
            digests.organizations = held.collect();
        } else if self.has(Fault::OldComparison) {
            for former in self.truth.former() {
                let each = digests.organizations.iter_mut();
                let of_it = each.filter(|each| each.id == former.id);
                if let Some(digest) = former.digest {
                    of_it.for_each(|each| each.digest = digest);
                }
            }
        }
    }

    fn plant_in_fetched(&self, bundle: &mut Bundle) {
        if self.has(Fault::OldComparison) {
            let mut former = self.truth.former();
            former.retain(|each| bundle.organizations.iter().any(|now| now.id == each.id));
            bundle.organizations = former.iter().map(|each| (**each).clone()).collect();
        }
    }

    pub(crate) fn record(
        &mut self,
        node: usize,
        number: usize,
        enforced: HistoryPoint,
        durable: bool,
    ) -> Result<(), StoreError> {
        let (Some(store), Some(id)) = (self.store(node), self.gateway_id(number)) else {
            return Ok(());
        };
        let name = format!("gateway-{number}");
        let report = GatewayReport {
            id: &id,
            name: &name,
            key: &ApiKeyId::opaque("key_of-gateways"),
            enforced,
            durable,
            understands: &Capability::ALL,
        };
        self.runtime.block_on(store.record_gateway(report, 0))?;
        self.plane.registered.insert(id.clone());
        if self.truth.history.get(&enforced.revision) == Some(&enforced) {
            self.plane.confirmed.insert(id);
        }
        Ok(())
    }

    fn forget(&mut self, node: usize, number: usize) {
        let (Some(store), Some(id)) = (self.store(node), self.gateway_id(number)) else {
            return;
        };
        // It is not there, or cannot be removed: then it is listed as missing.
        if self.runtime.block_on(store.forget_gateway(&id)).is_ok() {
            self.plane.registered.remove(&id);
        }
    }

    /// The id that a gateway has now, or had last.
    pub(crate) fn gateway_id(&self, number: usize) -> Option<GatewayId> {
        let edge = self.edge(number)?;
        edge.id.clone()
    }

    /// The time of a hold is over.
    pub(crate) fn hold_ends(&mut self, ticket: Ticket) {
        self.look_again(|held| held.sent.ticket == ticket, true);
    }

    /// Looks again for whoever is signalled.
    pub(crate) fn look_signalled(&mut self) {
        let only_greater = self.has(Fault::SignalOnGreater);
        let latest = self.truth.latest().revision;
        self.look_again(
            |held| held.waiting.is_signalled() && !(only_greater && latest <= held.after.revision),
            false,
        );
    }

    fn look_again(&mut self, wanted: impl Fn(&Held) -> bool, last: bool) {
        for number in 0..self.plane.nodes.len() {
            let Some(node) = self.plane.nodes.get_mut(number) else {
                continue;
            };
            let (taken, kept) = std::mem::take(&mut node.held)
                .into_iter()
                .partition(&wanted);
            node.held = kept;
            let taken: Vec<Held> = taken;
            for held in taken {
                self.look(number, held, last);
            }
        }
    }

    /// A node looks for changes that it was not told of.
    pub(crate) fn look_for_changes(&mut self, node: usize) {
        if let Some(store) = self.store(node) {
            self.runtime.block_on(store.look_for_changes());
            self.look_signalled();
        }
    }

    /// Every node notices a change that it did not make, each at its own time.
    pub(crate) fn notice_later(&mut self) {
        for node in 0..self.plane.nodes.len() {
            let pause = self.chance.millis(0..500);
            self.after(pause, Event::Look(node));
        }
    }

    /// A node's process starts.
    pub(crate) fn open(&mut self, number: usize) {
        use countersign_server::store::Store;
        let clock = self.clock();
        let location = self.database.location();
        let Some(node) = self
            .plane
            .nodes
            .get_mut(number)
            .filter(|node| node.store.is_none())
        else {
            return;
        };
        node.set_clock(clock);
        let opening = Store::open_unfollowed(&location, node.sources.clone());
        let opened = self.runtime.block_on(opening);
        match opened {
            Ok(store) => node.store = Some(store),
            Err(error) => return self.wrong(format!("node {number} does not start: {error}")),
        }
        self.note(|| format!("node {number} starts"));
        self.look_at_all();
    }

    /// A node's process ends: in order, with a last look for those who wait, or with broken connections.
    pub(crate) fn close(&mut self, number: usize, in_order: bool) {
        let Some(node) = self.plane.nodes.get_mut(number) else {
            return;
        };
        for held in std::mem::take(&mut node.held) {
            if in_order {
                self.look(number, held, true);
            } else {
                self.unreachable(&held.sent);
            }
        }
        if let Some(node) = self.plane.nodes.get_mut(number) {
            node.held.clear();
            node.store = None;
        }
        self.note(|| format!("node {number} ends"));
        self.over(Trouble::Refusing(number));
        self.look_at_all();
    }
}

/// As it comes out of the wire.
fn carried(bundle: &Bundle) -> Bundle {
    let text = serde_json::to_vec(bundle).expect("a bundle in JSON");
    serde_json::from_slice(&text).expect("the same bundle")
}
