//! Gateways that crash, stop and start.

use std::{collections::VecDeque, fs, sync::Arc, sync::atomic::Ordering, time::Duration};

use countersign_gateway::{DrivenGateway, options::GatewayOptions, sync::messages::Input};
use serde_json::json;

use crate::{
    agenda::{Ask, Event, Trouble},
    edge::{DiskState, Edge, Patience, Process},
    fault::Fault,
    images::Image,
    shares::{ShareSize, Taken},
    state_edits,
    world::World,
};

/// A disk that is full: what is there may be changed, and nothing more.
const NO_ROOM: Option<u32> = Some(1);

impl World {
    /// A gateway's process starts, with what its disk holds.
    pub(crate) fn start(&mut self, number: usize) {
        let (clock, seed) = (self.clock(), self.chance.number(0..u64::MAX));
        let random = self.chance.wide();
        let fresh = self.has(Fault::FreshAtStart);
        let (now, max_age) = (self.now, self.max_age);
        let unlimited = self.has(Fault::NoLimits);
        let share = if unlimited {
            ShareSize::GENEROUS
        } else {
            self.share
        };
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        if edge.process.is_some() || edge.disk == DiskState::Detached {
            return;
        }
        edge.life += 1;
        edge.link.silent_through = None;
        let clock = edge.set_clock(clock);
        if fresh {
            state_edits::set_contact(&edge.directory, clock);
        }
        self.check_contact(number);
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        let options = options(edge, max_age, share);
        let read = Arc::clone(&edge.clock);
        let reads = Arc::new(move || read.load(Ordering::Relaxed));
        let started = DrivenGateway::start(options, reads, random, seed);
        let mut driven = match started {
            Ok(driven) => driven,
            Err(error) => return self.wrong(format!("gateway {number} does not start: {error}")),
        };
        if edge.disk == DiskState::Full {
            driven.limit_disk(NO_ROOM);
        }
        edge.id = Some(driven.id().clone());
        edge.process = Some(Process {
            driven,
            begun: now,
            connection: 0,
            pulls: Vec::new(),
            patience: Patience::default(),
            comparison: None,
            jobs: VecDeque::new(),
            timer: None,
            stuck: vec![false; edge.threads],
            judged: vec![clock; edge.threads],
            traffic: Vec::new(),
            clients: Vec::new(),
            connections: 0,
            taken: Taken::default(),
            answered: false,
        });
        self.connect_clients(number);
        self.note(|| format!("gateway {number} starts"));
        self.check_start(number);
        self.look_at(number);
        self.tell(number, Input::Time);
    }

    /// A gateway's process or power ends, at whatever it was doing.
    pub(crate) fn crash(&mut self, number: usize, damage: bool) {
        let fine = self
            .edge(number)
            .is_some_and(|edge| edge.disk != DiskState::Detached);
        if !fine {
            self.over(Trouble::Disk(number));
        }
        let mut chance = self.chance.fork();
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        let Some(mut process) = edge.process.take() else {
            return;
        };
        let mut image = Image::of(&edge.directory);
        if let Some(job) = process.jobs.pop_front() {
            // What it comes to is known to nobody.
            let _ = process.driven.write(&job);
            image = Image::torn(&image, &Image::of(&edge.directory), &mut chance);
        }
        drop(process);
        if damage && let Some(damaged) = image.damaged(&mut chance) {
            edge.damaged = true;
            image = damaged;
        }
        image.lay_down(&edge.directory);
        self.note(|| format!("gateway {number} crashes"));
        self.look_at(number);
    }

    /// A gateway stops in order: the last write ends, and it says goodbye.
    pub(crate) fn stop(&mut self, number: usize) {
        self.over(Trouble::Disk(number));
        let Some(process) = self.process_mut(number) else {
            return;
        };
        while let Some(job) = process.jobs.pop_front() {
            let _ = process.driven.write(&job);
        }
        self.note(|| format!("gateway {number} stops"));
        self.send(number, Ask::Goodbye);
        if let Some(edge) = self.edge_mut(number) {
            edge.process = None;
        }
        self.look_at(number);
    }

    pub(crate) fn set_disk(&mut self, number: usize, disk: DiskState) {
        let Some(edge) = self.edges.get_mut(number) else {
            return;
        };
        let away = edge.directory.with_extension("away");
        if disk == DiskState::Detached && edge.disk != disk {
            fs::rename(&edge.directory, &away).expect("the directory goes away");
        } else if edge.disk == DiskState::Detached && disk != DiskState::Detached {
            fs::rename(&away, &edge.directory).expect("the directory comes back");
        }
        edge.disk = disk;
        let room = if disk == DiskState::Full {
            NO_ROOM
        } else {
            None
        };
        if let Some(process) = &mut edge.process {
            process.driven.limit_disk(room);
        }
    }

    /// For the fault: the time of contact goes to disk before what it vouches for.
    pub(crate) fn write_contact(&mut self, number: usize) {
        let clock = self.clock();
        if let Some(edge) = self.edge_mut(number) {
            let clock = edge.set_clock(clock);
            state_edits::set_contact(&edge.directory, clock);
        }
    }

    /// Starts it after a pause.
    pub(crate) fn start_after(&mut self, number: usize, pause: Duration) {
        self.after(pause, Event::Start(number));
    }
}

/// A gateway's configuration. What it names of network and files besides its directory is never used.
fn options(edge: &Edge, max_age: u64, share: ShareSize) -> GatewayOptions {
    serde_json::from_value(json!({
        "listen": "127.0.0.1:0",
        "name": format!("gateway-{}", edge.number),
        "certificate": "", "private_key": "", "key_file": "",
        "control_plane": "http://127.0.0.1:9/v1",
        "data_dir": edge.directory,
        "threads": edge.threads,
        "observations": false,
        "routes": [],
        "limits": {
            "max_bundle_age": max_age,
            "organization_verification": share.verification.as_secs_f64(),
            "organization_streams": share.streams * edge.threads,
            "organization_connections": share.connections,
        },
    }))
    .expect("a configuration")
}
