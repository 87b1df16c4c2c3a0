//! Clients: requests at gateways, some of which stay under way.

use countersign_types::error::ErrorCode;

use crate::{
    clients::{AUTHORITIES, Caller, Ending},
    edge::Traffic,
    fault::Fault,
    world::World,
};

/// How many requests stay under way at one gateway.
const UNDER_WAY: usize = 6;

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

    /// A request of this caller, which is judged and held against what may be in force.
    pub(crate) fn request_of(&mut self, number: usize, caller: Caller) {
        let unregistered = self.has(Fault::Unregistered);
        let (clock, thread) = (self.clock(), self.chance.below(2));
        let (stays, before) = (self.chance.one_in(3), self.has(Fault::FutureIsNow));
        let Some(edge) = self.edge_mut(number) else {
            return;
        };
        let thread = thread.min(edge.threads - 1);
        let mut now = edge.set_clock(clock);
        if before && let Some(contact) = edge.contacts.last().filter(|contact| **contact > now) {
            now = *contact;
            edge.clock.store(now, std::sync::atomic::Ordering::Relaxed);
        }
        let Some(process) = &mut edge.process else {
            return;
        };
        let connection = process.clients.get(caller.authority.unwrap_or(AUTHORITIES));
        let Some(connection) = connection else {
            return;
        };
        let ending = match process
            .driven
            .request(thread, connection, &caller.key.value)
        {
            Ok(stream) => {
                if stays && process.traffic.len() < UNDER_WAY {
                    let stream = (!unregistered).then_some(stream);
                    process.traffic.push(Traffic {
                        caller: caller.clone(),
                        thread,
                        begun: now,
                        stream,
                    });
                }
                Some(Ending::Passes)
            }
            Err(ErrorCode::AuthenticationTemporarilyUnavailable) => None,
            Err(ErrorCode::InvalidApiKey) => Some(Ending::NoKey),
            Err(_) => Some(Ending::NoCertificate),
        };
        self.note(|| format!("gateway {number} judges a request: {ending:?}"));
        self.check_ending(number, &caller, ending);
    }
}
