//! The control plane: one or two nodes on one database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use countersign_server::store::{Sources, Store, Waiting};
use countersign_types::{
    history::HistoryPoint,
    id::{GatewayId, OrganizationId},
};

use crate::{agenda::Sent, chance::Chance, clients::KnownKey};

/// A pull that a node holds open.
pub(crate) struct Held {
    pub(crate) sent: Sent,
    pub(crate) after: HistoryPoint,
    pub(crate) waiting: Waiting,
}

/// A process of the control plane.
pub(crate) struct Node {
    /// None while it is down.
    pub(crate) store: Option<Store>,
    pub(crate) sources: Sources,
    clock: Arc<AtomicU64>,
    /// Seconds that its clock is ahead.
    pub(crate) ahead: i64,
    pub(crate) held: Vec<Held>,
    /// It answers that it will not.
    pub(crate) refusing: bool,
    /// It looks for changes some time after each other second.
    pub(crate) slow: bool,
}

impl Node {
    pub(crate) fn new(mut chance: Chance) -> Self {
        let clock = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&clock);
        let drawn = Mutex::new(Chance::new(chance.number(0..u64::MAX)));
        Self {
            store: None,
            sources: Sources {
                clock: Arc::new(move || read.load(Ordering::Relaxed)),
                random: Arc::new(move |buffer| {
                    let mut chance = drawn.lock().unwrap_or_else(PoisonError::into_inner);
                    chance.fill(buffer);
                    Ok(())
                }),
            },
            clock,
            ahead: 0,
            held: Vec::new(),
            refusing: false,
            slow: false,
        }
    }

    /// Sets its clock by the true time.
    pub(crate) fn set_clock(&self, now: u64) -> u64 {
        let now = now.saturating_add_signed(self.ahead);
        self.clock.store(now, Ordering::Relaxed);
        now
    }
}

/// What is known of a certificate that was uploaded.
#[derive(Debug, Clone)]
pub(crate) struct Uploaded {
    pub(crate) organization: OrganizationId,
    pub(crate) id: countersign_types::id::CertificateId,
}

/// A copy of the database, and what else was so at that time.
#[derive(Debug, Clone)]
pub(crate) struct Backup {
    pub(crate) number: u64,
    pub(crate) history: BTreeMap<u64, HistoryPoint>,
    pub(crate) registered: BTreeSet<GatewayId>,
}

/// The control plane as a whole.
#[derive(Default)]
pub(crate) struct Plane {
    pub(crate) nodes: Vec<Node>,
    pub(crate) backups: Vec<Backup>,
    /// The gateways that the database knows.
    pub(crate) registered: BTreeSet<GatewayId>,
    /// Those that reported since the database was last put back.
    pub(crate) confirmed: BTreeSet<GatewayId>,
    /// What was handed out.
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) uploaded: Vec<Uploaded>,
    pub(crate) count: u64,
}
