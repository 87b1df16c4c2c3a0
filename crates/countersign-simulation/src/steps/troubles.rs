//! Troubles: when they begin, which they are, and how they end.

use std::time::Duration;

use super::network::SLOWEST;
use crate::{
    agenda::{Event, Trouble},
    edge::{DiskState, Large, LinkState},
    world::{Kind, World},
};

impl World {
    /// One more trouble of a kind that this run has.
    pub(crate) fn begin_trouble(&mut self) {
        if !self.troubled {
            return;
        }
        let pause = self.chance.millis(200..6_000);
        self.after(pause, Event::Trouble);
        let Some(kind) = self.chance.pick(&self.kinds).copied() else {
            return;
        };
        let number = self.chance.below(self.edges.len());
        let node = self.chance.below(self.plane.nodes.len());
        self.note(|| format!("{kind:?} for gateway {number} or node {node}"));
        match kind {
            Kind::Partition | Kind::Refused | Kind::SilentConnections | Kind::Lost => {
                self.break_link(kind, number);
            }
            Kind::Repeated | Kind::SlowNetwork | Kind::LargeAnswers => {
                self.break_link(kind, number);
            }
            Kind::Crash | Kind::Stop => self.end_process(kind, number),
            Kind::DiskFull => self.break_disk(number, DiskState::Full),
            Kind::DiskDetached => self.break_disk(number, DiskState::Detached),
            Kind::DiskSlow => self.break_disk(number, DiskState::Slow),
            Kind::StuckThread => self.stick(number),
            Kind::GatewayClock => self.turn_gateway_clock(number),
            Kind::Flood => self.flood(number),
            Kind::NodeCrash | Kind::NodeClose => self.end_node(kind, node),
            Kind::NodeRefuses => {
                if let Some(node) = self.plane.nodes.get_mut(node) {
                    node.refusing = true;
                }
                self.until(Trouble::Refusing(node), 500..20_000);
            }
            Kind::NodeClock => {
                let ahead = self.jump();
                if let Some(node) = self.plane.nodes.get_mut(node) {
                    node.ahead = ahead;
                }
            }
            Kind::Backup => self.back_up(),
            Kind::RestoreOffline => self.restore(false),
            Kind::RestoreUnderWay => self.restore(true),
        }
        self.look_at_all();
    }

    fn until(&mut self, trouble: Trouble, range: std::ops::Range<u64>) {
        let pause = self.chance.millis(range);
        self.after(pause, Event::Over(trouble));
    }

    fn break_link(&mut self, kind: Kind, number: usize) {
        // Now and then more in a row than a gateway is used to.
        let many = u32::try_from(self.chance.number(2..8)).unwrap_or(2);
        let losing = match self.chance.below(8) {
            0 => many,
            1 => 2,
            _ => 1,
        };
        let large = self.large_answers();
        let refusing = self
            .edge(number)
            .is_some_and(|edge| edge.link.state != LinkState::Up);
        match kind {
            Kind::Partition => self.silence(number, false),
            Kind::SilentConnections if !refusing => return self.silence(number, true),
            _ => {}
        }
        let Some(edge) = self.edge_mut(number) else {
            return;
        };
        match kind {
            Kind::Partition => {}
            Kind::Refused => {
                edge.link.state = LinkState::Refusing;
                edge.link.epoch += 1;
            }
            Kind::Lost => {
                edge.link.losing = losing;
                return;
            }
            Kind::Repeated => {
                edge.link.repeating = true;
                return;
            }
            Kind::SlowNetwork => edge.link.slow = true,
            Kind::LargeAnswers => edge.link.large = Some(large),
            _ => return,
        }
        // Most are short, and some longer than trust may be old.
        let longest = if self.chance.one_in(4) {
            2_000 * self.max_age.min(100)
        } else {
            20_000
        };
        self.until(Trouble::Link(number), 500..longest);
    }

    /// What large answers take.
    pub(crate) fn large_answers(&mut self) -> Large {
        Large {
            begins: self.chance.millis(3_500..50_000),
            arrives: self.chance.millis(0..10_000),
        }
    }

    fn end_process(&mut self, kind: Kind, number: usize) {
        if self.edge(number).is_none_or(|edge| edge.process.is_none()) {
            return;
        }
        if kind == Kind::Stop {
            self.stop(number);
        } else {
            let damage = self.chance.one_in(8);
            self.crash(number, damage);
        }
        let longest = if self.chance.one_in(5) {
            120_000
        } else {
            5_000
        };
        let pause = self.chance.millis(50..longest);
        self.start_after(number, pause);
    }

    fn break_disk(&mut self, number: usize, disk: DiskState) {
        // A detached directory cannot be started from, so only a process that runs has it.
        let runs = self.edge(number).is_some_and(|edge| edge.process.is_some());
        if disk != DiskState::Detached || runs {
            self.set_disk(number, disk);
            self.until(Trouble::Disk(number), 1_000..60_000);
        }
    }

    fn stick(&mut self, number: usize) {
        let threads = self.edge(number).map_or(1, |edge| edge.threads);
        let thread = self.chance.below(threads);
        if let Some(stuck) = self
            .process_mut(number)
            .and_then(|each| each.stuck.get_mut(thread))
        {
            *stuck = true;
            self.until(Trouble::Thread(number, thread), 100..15_000);
        }
    }

    /// How far a clock is ahead from now on, in seconds.
    fn jump(&mut self) -> i64 {
        let most = if self.chance.one_in(2) { 200 } else { 4_000 };
        let seconds = i64::try_from(self.chance.number(0..most)).unwrap_or(0);
        match self.chance.below(3) {
            0 => 0,
            1 => seconds,
            _ => -seconds,
        }
    }

    fn turn_gateway_clock(&mut self, number: usize) {
        let ahead = self.jump();
        if let Some(edge) = self.edge_mut(number) {
            edge.ahead = ahead;
            edge.clock_jumped = true;
        }
    }

    fn end_node(&mut self, kind: Kind, node: usize) {
        self.close(node, kind == Kind::NodeClose);
        let pause = self.chance.millis(50..15_000);
        self.after(pause, Event::Open(node));
    }

    /// A trouble is over.
    pub(crate) fn over(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Link(number) => {
                let now = self.now;
                if let Some(edge) = self.edge_mut(number) {
                    if edge.link.slow {
                        // What is on its way may be as old as that when it arrives.
                        edge.disturb(now + Duration::from_millis(SLOWEST));
                    }
                    if let Some(large) = edge.link.large.take() {
                        // Its first answer is waited for from the beginning.
                        if edge.has_nothing() {
                            edge.disturb(now + large.begins + large.arrives);
                        }
                    }
                    edge.link.state = LinkState::Up;
                    edge.link.slow = false;
                    edge.link.epoch += 1;
                }
            }
            Trouble::Disk(number) => self.set_disk(number, DiskState::Fine),
            Trouble::Thread(number, thread) => self.unstick(number, thread),
            Trouble::Refusing(number) => {
                if let Some(node) = self.plane.nodes.get_mut(number) {
                    node.refusing = false;
                }
            }
        }
        self.look_at_all();
    }

    fn unstick(&mut self, number: usize, thread: usize) {
        let stuck = self
            .process_mut(number)
            .and_then(|each| each.stuck.get_mut(thread));
        if let Some(stuck) = stuck {
            *stuck = false;
            let life = self.edge(number).map_or(0, |edge| edge.life);
            self.recheck(number, life, thread);
        }
    }

    /// Every trouble ends, and whoever is not running starts.
    pub(crate) fn end_troubles(&mut self) {
        self.troubled = false;
        for node in 0..self.plane.nodes.len() {
            self.over(Trouble::Refusing(node));
            if let Some(node) = self.plane.nodes.get_mut(node) {
                node.ahead = 0;
            }
            self.after(Duration::from_secs(1), Event::Open(node));
        }
        for number in 0..self.edges.len() {
            self.over(Trouble::Link(number));
            self.over(Trouble::Disk(number));
            let threads = self.edge(number).map_or(0, |edge| edge.threads);
            for thread in 0..threads {
                self.over(Trouble::Thread(number, thread));
            }
            if let Some(edge) = self.edge_mut(number) {
                edge.link.losing = 0;
                edge.link.repeating = false;
            }
            self.start_after(number, Duration::from_secs(1));
        }
        self.note(|| "quiet".to_owned());
    }
}
