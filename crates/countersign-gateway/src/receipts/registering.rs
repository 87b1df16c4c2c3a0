//! Tells the control plane of this gateway's key for receipts, for the organizations that need it: each of
//! them has it in its audit log before the first receipt.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use countersign_client::Client;
use countersign_types::{
    id::OrganizationId,
    receipt::{MAX_REGISTERED_AT_ONCE, ReceiptKeyRegistration},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::giving::Receipts;
use crate::{operating::health::Part, shared::Shared};

/// Up to how many organizations are told before any request needs it.
const FEW: usize = 64;
/// How long nobody is asked again who was asked.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The longest wait after failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Registers the key.
struct Registering {
    shared: Arc<Shared>,
    /// Who is to be told of the key, as requests find out.
    found: mpsc::Receiver<OrganizationId>,
    /// The client as it was last configured.
    client: watch::Receiver<Client>,
    changed: watch::Receiver<u64>,
    waiting: BTreeSet<OrganizationId>,
    asked: HashMap<OrganizationId, Instant>,
    /// Where it was withdrawn, for good.
    withdrawn: BTreeSet<OrganizationId>,
    /// When to look again at those that lack the key and were asked just now.
    look_again: Option<Instant>,
    pause: Duration,
    not_before: Instant,
}

/// Registers the key wherever it is needed, from the first configuration on that asks for receipts until the
/// gateway ends.
pub(crate) async fn run(
    shared: Arc<Shared>,
    client: watch::Receiver<Client>,
    changed: watch::Receiver<u64>,
) {
    let receipts = shared.receipts.wait().await;
    let Some(found) = receipts.found() else {
        return std::future::pending().await;
    };
    let registering = Registering {
        shared: Arc::clone(&shared),
        found,
        client,
        changed,
        waiting: BTreeSet::new(),
        asked: HashMap::new(),
        withdrawn: BTreeSet::new(),
        look_again: None,
        pause: Duration::ZERO,
        not_before: Instant::now(),
    };
    registering.run(receipts).await;
}

impl Registering {
    async fn run(mut self, receipts: &Receipts) {
        self.look_at_few(receipts);
        loop {
            if !self.waiting.is_empty() && Instant::now() >= self.not_before {
                self.register(receipts).await;
                continue;
            }
            let due = (!self.waiting.is_empty()).then_some(self.not_before);
            tokio::select! {
                found = self.found.recv() => match found {
                    Some(id) => self.note(id, receipts),
                    None => return std::future::pending().await,
                },
                changed = self.changed.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    self.look_at_few(receipts);
                }
                () = until(due) => {}
                () = until(self.look_again) => {
                    self.look_again = None;
                    self.look_at_few(receipts);
                }
            }
        }
    }

    /// Where there are few organizations, each is told at once.
    fn look_at_few(&mut self, receipts: &Receipts) {
        let snapshot = self.shared.snapshot.load_full();
        let few: Vec<_> = snapshot.organizations().take(FEW + 1).collect();
        if few.len() <= FEW {
            few.iter()
                .for_each(|each| self.note(each.id().clone(), receipts));
        }
    }

    fn note(&mut self, id: OrganizationId, receipts: &Receipts) {
        let snapshot = self.shared.snapshot.load();
        let known = snapshot.organization(&id);
        let lacks = known.is_some_and(|each| !each.bundle().receipt_keys.contains(&receipts.id));
        let asked = self.asked.get(&id);
        if !lacks || self.withdrawn.contains(&id) {
            return;
        }
        match asked.map(|asked| *asked + ASKED_AGAIN_AFTER) {
            Some(again) if Instant::now() < again => {
                self.look_again.get_or_insert(again);
            }
            _ => {
                self.waiting.insert(id);
            }
        }
    }

    async fn register(&mut self, receipts: &Receipts) {
        let some: Vec<_> = self
            .waiting
            .iter()
            .take(MAX_REGISTERED_AT_ONCE)
            .cloned()
            .collect();
        let request = ReceiptKeyRegistration {
            proof: receipts.proof.clone(),
            organizations: some.clone(),
        };
        let client = self.client.borrow().clone();
        let answer = client.countersign().register_receipt_key(&request).await;
        let now = Instant::now();
        self.asked
            .retain(|_, asked| now.duration_since(*asked) < ASKED_AGAIN_AFTER);
        let trouble = match answer {
            Ok(answer) => {
                self.pause = Duration::ZERO;
                for id in some {
                    self.waiting.remove(&id);
                    self.asked.insert(id, now);
                }
                let registered = answer.value.organizations.len();
                tracing::info!(key = %receipts.id, registered, "the key for receipts is registered");
                self.withdrawn.extend(answer.value.withdrawn);
                self.is_withdrawn(receipts)
            }
            Err(error) => {
                self.pause = (self.pause * 2).clamp(Duration::from_secs(1), LONGEST_PAUSE);
                Some(error.to_string())
            }
        };
        self.not_before = now + self.pause;
        if self.shared.health.set(Part::Receipts, trouble.clone())
            && let Some(error) = trouble
        {
            tracing::error!(
                error,
                "cannot register the key for receipts: requests pass without"
            );
        }
    }

    /// That it was withdrawn somewhere, in words.
    fn is_withdrawn(&self, receipts: &Receipts) -> Option<String> {
        let first = self.withdrawn.first()?;
        let more = match self.withdrawn.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let id = &receipts.id;
        Some(format!(
            "{id} was withdrawn by {first}{more}, for good: for a new key, remove `receipt-key` from `data_dir` and restart"
        ))
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
