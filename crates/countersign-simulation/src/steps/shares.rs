//! What organizations take of a gateway: bursts, and that none gets more than its share or less.

use std::collections::BTreeSet;

use countersign_gateway::{DrivenConnection, DrivenOutcome, DrivenRefusal, DrivenShare};
use rustls_pki_types::CertificateDer;

use crate::{
    clients::{Caller, stranger},
    edge::Process,
    shares::{Client, ShareSize},
    world::World,
};

/// How many requests are in a burst.
const BURST: u64 = 12;

impl World {
    /// Requests of one caller, each on a connection of its own with a chain that nobody has seen.
    pub(crate) fn flood(&mut self, number: usize) {
        let Some(key) = self.chance.pick(&self.plane.keys).cloned() else {
            return;
        };
        for _ in 0..BURST {
            let unique = CertificateDer::from(self.chance.wide().to_le_bytes().to_vec());
            let chain = vec![stranger().clone(), unique];
            let caller = Caller {
                key: key.clone(),
                authority: None,
            };
            let Some(mut client) = self.connect(number, chain) else {
                return;
            };
            client.takes(&caller.key.value);
            self.request_on(number, caller, &client);
        }
    }

    /// A connection of a client to some thread of a gateway.
    pub(crate) fn connect(
        &mut self,
        number: usize,
        chain: Vec<CertificateDer<'static>>,
    ) -> Option<Client> {
        let threads = self.edge(number)?.threads;
        let thread = self.chance.below(threads);
        let process = self.process_mut(number)?;
        process.connections += 1;
        let connection = DrivenConnection::new(chain);
        Some(Client::new(connection, process.connections, thread))
    }

    /// A request that its organization's share let pass, or did not, is held against what the
    /// organization took.
    pub(crate) fn check_share(
        &mut self,
        number: usize,
        caller: &Caller,
        client: &Client,
        outcome: &DrivenOutcome,
    ) {
        let (now, size) = (self.now, self.share);
        self.checks += 1;
        let Some(process) = self.process_mut(number) else {
            return;
        };
        let whose = (caller.key.organization.clone(), client.thread);
        let now = now - process.begun;
        let wrong = match outcome.stream {
            Err(DrivenRefusal::Share(DrivenShare::Verification)) => {
                let used_up = outcome.must_judge && process.taken.is_used_up(size, whose, now);
                (!used_up).then_some("refuses to judge a chain within its organization's share")
            }
            _ if outcome.must_judge && !process.taken.verdict(size, whose, now) => {
                Some("judges a chain beyond its organization's share")
            }
            _ => wrong_place(process, size, caller, client, outcome),
        };
        if let Some(wrong) = wrong {
            self.wrong(format!("gateway {number} {wrong}"));
        }
    }
}

/// What is wrong with the places that a request takes, or does not get.
fn wrong_place(
    process: &mut Process,
    size: ShareSize,
    caller: &Caller,
    client: &Client,
    outcome: &DrivenOutcome,
) -> Option<&'static str> {
    let refused = match outcome.stream {
        Ok(_) => None,
        Err(DrivenRefusal::Share(share)) => Some(share),
        Err(DrivenRefusal::Code(_)) => return None,
    };
    let organization = &caller.key.organization;
    let one = (organization.clone(), caller.key.value.clone());
    let clients = process.clients.iter().map(|each| each.number);
    let streams = process.traffic.iter().filter(|each| each.stream.is_some());
    let streams = streams.map(|each| each.connection);
    let open: BTreeSet<u64> = clients.chain(streams).chain([client.number]).collect();
    process.taken.keep_only(&open);
    if !process.taken.has_passed(client.number, &one) {
        let room = process.taken.connections(organization) < size.connections;
        match (refused, room) {
            (Some(DrivenShare::Connections), false) => return None,
            (Some(DrivenShare::Connections), true) => {
                return Some("refuses a connection within its organization's share");
            }
            (_, false) => return Some("serves a connection beyond its organization's share"),
            (_, true) => process.taken.passes(client.number, one),
        };
    } else if refused == Some(DrivenShare::Connections) {
        return Some("refuses a connection that it served");
    }
    let of_it = process.traffic.iter().filter(|each| {
        let same = each.caller.key.organization == *organization;
        same && each.thread == client.thread && each.stream.is_some()
    });
    match (refused, of_it.count() < size.streams) {
        (Some(_), true) => Some("refuses a request within its organization's share"),
        (None, false) => Some("serves a request beyond its organization's share"),
        _ => None,
    }
}
