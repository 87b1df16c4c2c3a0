//! Clients: requests at gateways, some of which stay under way.

use std::time::Duration;

use countersign_gateway::{DrivenRefusal, DrivenRequest, DrivenShare, DrivenStream};
use countersign_types::error::ErrorCode;

use crate::{
    clients::{AUTHORITIES, Caller, Ending, authorities},
    edge::Traffic,
    fault::Fault,
    shares::{Client, VERDICT},
    world::World,
};

/// How many requests stay under way at one gateway.
const UNDER_WAY: usize = 8;

impl World {
    /// A client makes a request at a gateway.
    pub(crate) fn request(&mut self) {
        let number = self.chance.below(self.edges.len());
        if let Some(caller) = self.any_caller() {
            self.request_of(number, caller);
        }
    }

    /// Somebody with a key that was handed out, lately most often.
    fn any_caller(&mut self) -> Option<Caller> {
        let keys = self.plane.keys.len();
        let lately = self.chance.one_in(2);
        let from = if lately { keys.saturating_sub(4) } else { 0 };
        let key = self.plane.keys.get(from..)?;
        let key = self.chance.pick(key)?.clone();
        let authority = self.chance.below(AUTHORITIES + 1);
        Some(Caller {
            key,
            authority: (authority < AUTHORITIES).then_some(authority),
        })
    }

    /// Clients connect: one of each authority, and one without a certificate.
    pub(crate) fn connect_clients(&mut self, number: usize) {
        for authority in 0..=AUTHORITIES {
            if let Some(client) = self.connect_as(number, authority)
                && let Some(process) = self.process_mut(number)
            {
                process.clients.push(client);
            }
        }
    }

    fn connect_as(&mut self, number: usize, authority: usize) -> Option<Client> {
        let authority = authorities().get(authority);
        let chain = authority.map(|each| each.chain.clone());
        self.connect(number, chain.unwrap_or_default())
    }

    /// A request of this caller, on the connection that its client keeps, or on a new one in its place.
    pub(crate) fn request_of(&mut self, number: usize, caller: Caller) {
        let renews = self.chance.one_in(10);
        let authority = caller.authority.unwrap_or(AUTHORITIES);
        let Some(process) = self.process_mut(number) else {
            return;
        };
        let Some(kept) = process.clients.get_mut(authority) else {
            return;
        };
        if renews || !kept.takes(&caller.key.value) {
            let Some(mut client) = self.connect_as(number, authority) else {
                return;
            };
            client.takes(&caller.key.value);
            let process = self.process_mut(number);
            if let Some(kept) = process.and_then(|each| each.clients.get_mut(authority)) {
                *kept = client;
            }
        }
        let process = self.edge(number).and_then(|edge| edge.process.as_ref());
        let client = process.and_then(|process| process.clients.get(authority));
        if let Some(client) = client.cloned() {
            self.end_some(number);
            self.request_on(number, caller, &client);
        }
    }

    /// Now and then a request that was under way ends.
    fn end_some(&mut self, number: usize) {
        let (ends, kept) = (self.chance.one_in(4), self.has(Fault::KeptPlaces));
        let under_way = self.edge(number).and_then(|edge| edge.process.as_ref());
        let under_way = under_way.map_or(0, |process| process.traffic.len());
        if !ends || under_way == 0 {
            return;
        }
        let which = self.chance.below(under_way);
        if let Some(process) = self.process_mut(number) {
            let ended = process.traffic.remove(which);
            if kept {
                std::mem::forget(ended.stream);
            }
        }
    }

    /// A request on a connection, which is judged and held against what may be in force, and against
    /// what its organization took.
    pub(crate) fn request_on(&mut self, number: usize, caller: Caller, client: &Client) {
        let (elapsed, clock) = (self.now, self.clock());
        let (stays, before) = (self.chance.one_in(3), self.has(Fault::FutureIsNow));
        let free = self.has(Fault::FreeVerdicts);
        let Some(edge) = self.edge_mut(number) else {
            return;
        };
        let mut now = edge.set_clock(clock);
        if before && let Some(contact) = edge.contacts.last().filter(|contact| **contact > now) {
            now = *contact;
            edge.clock.store(now, std::sync::atomic::Ordering::Relaxed);
        }
        let Some(process) = &mut edge.process else {
            return;
        };
        let outcome = process.driven.request(&DrivenRequest {
            thread: client.thread,
            connection: &client.connection,
            key: &caller.key.value,
            at: elapsed - process.begun,
            verdict: if free { Duration::ZERO } else { VERDICT },
        });
        self.check_share(number, &caller, client, &outcome);
        let ending = match outcome.stream {
            Ok(_) => Some(Ending::Passes),
            // It was judged, and passes but for its share.
            Err(DrivenRefusal::Share(DrivenShare::Streams | DrivenShare::Connections)) => {
                Some(Ending::Passes)
            }
            // It was not judged.
            Err(DrivenRefusal::Share(DrivenShare::Verification)) => return,
            Err(DrivenRefusal::Code(ErrorCode::AuthenticationTemporarilyUnavailable)) => None,
            Err(DrivenRefusal::Code(ErrorCode::InvalidApiKey)) => Some(Ending::NoKey),
            Err(DrivenRefusal::Code(_)) => Some(Ending::NoCertificate),
        };
        self.note(|| format!("gateway {number} judges a request: {ending:?}"));
        self.check_ending(number, &caller, ending);
        if stays && let Ok(stream) = outcome.stream {
            self.stays(number, caller, client, (now, stream));
        }
    }

    /// A request that passed stays under way.
    fn stays(
        &mut self,
        number: usize,
        caller: Caller,
        client: &Client,
        (begun, stream): (u64, DrivenStream),
    ) {
        let unregistered = self.has(Fault::Unregistered);
        let Some(process) = self.process_mut(number) else {
            return;
        };
        if process.traffic.len() < UNDER_WAY {
            process.traffic.push(Traffic {
                caller,
                connection: client.number,
                thread: client.thread,
                begun,
                stream: (!unregistered).then_some(stream),
            });
        }
    }
}
