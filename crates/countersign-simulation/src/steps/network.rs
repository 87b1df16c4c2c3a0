//! Requests and answers on their way.

use std::time::Duration;

use countersign_gateway::sync::messages::{Failure, Input};
use countersign_types::history::HistoryPoint;

use crate::{
    agenda::{Ask, Event, Sent, Ticket},
    edge::{Large, LinkState, Outstanding},
    fault::Fault,
    world::World,
};

/// How long sent bytes may stay unacknowledged, and a connection unestablished.
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// How long an answer to anything but a pull may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long beyond its wait a pull may be silent until another goes out beside it; and where nothing is in
/// force yet.
const SILENCE: Duration = Duration::from_secs(3);
const SILENCE_AT_FIRST: Duration = Duration::from_secs(30);
/// How long a part of a large answer takes.
const PART: Duration = Duration::from_secs(1);
/// How many pulls a gateway may have under way.
const PULLS: usize = 2;
/// How often what is not acknowledged is sent again.
const AGAIN: Duration = Duration::from_millis(300);

/// How a request fails, as its kind is told of it.
fn failed(ask: &Ask, failure: Failure) -> Box<Input> {
    Box::new(match ask {
        Ask::Pull(pull) => Input::PullFailed(pull.number, failure),
        _ => Input::ComparisonFailed(failure),
    })
}

/// What a message takes at most on a slow network, in milliseconds.
pub(super) const SLOWEST: u64 = 4_000;

impl World {
    /// Sends a request of a gateway on its newest connection.
    pub(crate) fn send(&mut self, number: usize, ask: Ask) {
        let latency = self.latency(number);
        let lost_on_the_way = self.chance.one_in(2);
        let now = self.now;
        let (wait, patience, silence) = match &ask {
            Ask::Pull(pull) if pull.after == HistoryPoint::START => {
                (pull.wait, pull.patience, SILENCE_AT_FIRST)
            }
            Ask::Pull(pull) => (pull.wait, pull.patience, SILENCE),
            _ => (Duration::ZERO, PATIENCE, PATIENCE),
        };
        let (gives_up, asks_again) = (wait + patience, wait + silence);
        let Some(mut sent) = self.begin(number, ask) else {
            return;
        };
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        if edge.link.losing > 0 {
            edge.link.losing -= 1;
            sent.answer_lost = true;
            edge.calm_since = edge.calm_since.max(now + asks_again);
            if edge.falls_silent(now) {
                edge.disturb(now + asks_again);
            }
        }
        let repeated = std::mem::take(&mut edge.link.repeating);
        let refused = edge.link.state == LinkState::Refusing;
        let (ticket, connection) = (sent.ticket, sent.connection);
        self.note(|| {
            let ask = &sent.ask;
            format!(
                "gateway {number} sends {} on connection {connection}: {ask:?}",
                ticket.number
            )
        });
        let silence = failed(&sent.ask, Failure::Silence);
        self.after(gives_up, Event::Deliver(ticket, silence));
        if refused {
            let failure = failed(&sent.ask, Failure::Unreachable);
            return self.after(latency, Event::Deliver(ticket, failure));
        }
        if repeated {
            let late = self.chance.millis(500..30_000);
            self.after(late, Event::Arrive(sent.clone()));
        }
        if !(sent.answer_lost && lost_on_the_way) {
            self.after(latency, Event::Arrive(sent));
        }
    }

    /// A request that the gateway waits for from now on.
    fn begin(&mut self, number: usize, ask: Ask) -> Option<Sent> {
        let at = self.now;
        let edge = self.edges.get_mut(number)?;
        edge.tickets += 1;
        let ticket = Ticket {
            gateway: number,
            life: edge.life,
            number: edge.tickets,
        };
        let process = edge.process.as_mut()?;
        // Over HTTP/1.1 a request that is given up takes its connection with it.
        if !edge.link.pings && matches!(ask, Ask::Pull(_)) && !process.pulls.is_empty() {
            process.connection += 1;
        }
        let connection = process.connection;
        let outstanding = Outstanding {
            number: ticket.number,
            connection,
            ask: ask.clone(),
            at,
        };
        match &ask {
            Ask::Pull(pull) => {
                process.pulls.retain(|each| match &each.ask {
                    Ask::Pull(other) => Some(other.number) == pull.beside,
                    _ => false,
                });
                process.pulls.push(outstanding);
            }
            Ask::Digests(_) | Ask::Fetch(_) => process.comparison = Some(outstanding),
            Ask::Goodbye => {}
        }
        if process.pulls.len() > PULLS {
            self.wrong(format!(
                "gateway {number} has more than {PULLS} pulls under way"
            ));
        }
        Some(Sent {
            ticket,
            connection,
            at,
            ask,
            answer_lost: false,
        })
    }

    fn latency(&mut self, number: usize) -> Duration {
        if self.edge(number).is_some_and(|edge| edge.link.slow) {
            self.chance.millis(200..SLOWEST)
        } else {
            self.chance.millis(1..40)
        }
    }

    /// A request reaches the control plane, or is sent again until it does.
    pub(crate) fn arrive(&mut self, sent: Sent) {
        let number = sent.ticket.gateway;
        let Some(edge) = self.edge(number) else {
            return;
        };
        let gone = edge.life != sent.ticket.life;
        let unestablished = sent.at + UNACKNOWLEDGED;
        let silent = !gone && edge.is_silent(sent.connection);
        match edge.link.state {
            LinkState::Refusing => self.unreachable(&sent),
            LinkState::Dropping if self.now < unestablished && !silent => {
                self.after(AGAIN, Event::Arrive(sent));
            }
            _ if silent || edge.link.state == LinkState::Dropping => {
                let at = self.now.max(unestablished);
                let failure = failed(&sent.ask, Failure::Unreachable);
                self.agenda.at(at, Event::Deliver(sent.ticket, failure));
            }
            LinkState::Up | LinkState::Dropping => self.serve(sent),
        }
    }

    pub(crate) fn unreachable(&mut self, sent: &Sent) {
        self.fail(sent, Failure::Unreachable);
    }

    pub(crate) fn fail(&mut self, sent: &Sent, failure: Failure) {
        let pause = self.chance.millis(1..20);
        self.after(
            pause,
            Event::Deliver(sent.ticket, failed(&sent.ask, failure)),
        );
    }

    /// The control plane answers.
    pub(crate) fn answer(&mut self, sent: Sent, input: Input) {
        if sent.answer_lost {
            return self.note(|| format!("the answer to {} is lost", sent.ticket.number));
        }
        let mut latency = self.latency(sent.ticket.gateway);
        let large = self
            .edge(sent.ticket.gateway)
            .and_then(|edge| edge.link.large);
        let brings = matches!(&input, Input::Pulled(_, bundle) if !bundle.organizations.is_empty());
        let mut since = self.now;
        if let Some(Large { begins, arrives }) = large.filter(|_| brings) {
            let mut part = Duration::ZERO;
            while part <= arrives {
                self.after(latency + begins + part, Event::Part(sent.clone()));
                part += PART;
            }
            latency += begins + arrives;
            since += begins + arrives;
        }
        self.after(latency, Event::Return(sent, Box::new(input), since));
    }

    /// A part of an answer reaches the gateway, or comes later with the rest.
    pub(crate) fn part(&mut self, sent: &Sent) {
        let now = self.now;
        let Some(edge) = self.edge_mut(sent.ticket.gateway) else {
            return;
        };
        let gone = edge.life != sent.ticket.life || edge.is_silent(sent.connection);
        if !gone && edge.link.state == LinkState::Up {
            // While it is arriving, nothing is asked beside it.
            edge.disturb(now + PART);
            self.deliver(sent.ticket, Input::Arriving(0));
        }
    }

    /// An answer reaches the gateway, or is sent again until it does.
    pub(crate) fn come_back(&mut self, sent: Sent, input: Box<Input>, since: Duration) {
        let Some(edge) = self.edge(sent.ticket.gateway) else {
            return;
        };
        if edge.life != sent.ticket.life || edge.is_silent(sent.connection) {
            return;
        }
        match edge.link.state {
            LinkState::Up => {
                if self.has(Fault::LateAnswer) && self.chance.one_in(4) {
                    let late = self.chance.millis(5_000..30_000);
                    self.after(late, Event::Deliver(sent.ticket, input.clone()));
                }
                self.deliver(sent.ticket, *input);
            }
            LinkState::Refusing => self.unreachable(&sent),
            LinkState::Dropping if self.now < since + UNACKNOWLEDGED => {
                self.after(AGAIN, Event::Return(sent, input, since));
            }
            LinkState::Dropping => {}
        }
    }

    /// A connection that was not heard of for so long is given up, where it is pinged.
    pub(crate) fn unanswered(&mut self, number: usize, life: u64, connection: u64, epoch: u64) {
        let Some(edge) = self.edge(number).filter(|edge| edge.life == life) else {
            return;
        };
        let still = edge.link.state == LinkState::Dropping && edge.link.epoch == epoch;
        if !still && !edge.is_silent(connection) {
            return;
        }
        let Some(process) = &edge.process else {
            return;
        };
        let given_up: Vec<_> = process
            .under_way()
            .filter(|each| each.connection == connection)
            .map(|each| {
                let ticket = Ticket {
                    gateway: number,
                    life,
                    number: each.number,
                };
                (ticket, failed(&each.ask, Failure::Unreachable))
            })
            .collect();
        for (ticket, failure) in given_up {
            self.deliver(ticket, *failure);
        }
    }

    /// The network goes silent: for now, or for the connections that there are.
    pub(crate) fn silence(&mut self, number: usize, connections_only: bool) {
        let pause = self.chance.millis(2_000..4_000);
        let now = self.now;
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        edge.link.epoch += 1;
        let (life, epoch, pings) = (edge.life, edge.link.epoch, edge.link.pings);
        let connection = edge.process.as_ref().map(|process| process.connection);
        if connections_only {
            edge.link.silent_through = connection;
            edge.calm_since = edge.calm_since.max(now + Duration::from_secs(9));
            if edge.falls_silent(now) {
                edge.disturb(now + Duration::from_secs(9));
            }
        } else {
            edge.link.state = LinkState::Dropping;
        }
        if let Some(connection) = connection.filter(|_| pings) {
            self.after(pause, Event::Unanswered(number, life, connection, epoch));
        }
    }
}
