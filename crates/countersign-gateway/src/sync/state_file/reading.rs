//! Reading all organizations from the file: one thread reads rows, and as many as there are processors make
//! organizations of them.

use std::{
    collections::HashMap,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use countersign_types::{
    bundle::{BundleKey, OrganizationBundle},
    digest::Sha256,
    id::OrganizationId,
};
use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::contents::{KeyPart, StateError, Sum, damaged};

/// How many rows are handed over at a time, and how many such heaps may wait.
const AT_A_TIME: usize = 64;
const WAITING: usize = 8;

/// Rows as they are stored: a text, and its checksum.
enum Heap {
    Organizations(Vec<(String, Vec<u8>)>),
    Keys(Vec<(String, Vec<u8>)>),
}

/// What a thread made of the rows that it took.
#[derive(Default)]
struct Made {
    organizations: Vec<OrganizationBundle>,
    keys: HashMap<OrganizationId, Vec<BundleKey>>,
    sum: Sum,
}

/// All organizations, and the sum of the checksums of their rows.
pub(super) fn read(connection: &Connection) -> Result<(Vec<OrganizationBundle>, Sum), StateError> {
    let all = thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        let number = thread::available_parallelism().map_or(1, NonZero::get);
        let take = |_| {
            let receiver = Arc::clone(&receiver);
            scope.spawn(move || make(&receiver))
        };
        let threads: Vec<_> = (0..number).map(take).collect();
        // It is the threads' alone: when all have ended by an error, nobody waits for them.
        drop(receiver);
        let read = send_rows(connection, &sender);
        drop(sender);
        let made = threads.into_iter().map(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|_| Err(damaged("it cannot be read")))
        });
        let made: Result<Vec<Made>, StateError> = made.collect();
        read.and(made)
    })?;
    let mut sum = Sum::default();
    let mut organizations = Vec::with_capacity(all.iter().map(|one| one.organizations.len()).sum());
    let mut keys: HashMap<OrganizationId, Vec<BundleKey>> = HashMap::new();
    for mut one in all {
        sum.add(one.sum);
        organizations.append(&mut one.organizations);
        for (organization, mut some) in one.keys {
            keys.entry(organization).or_default().append(&mut some);
        }
    }
    for organization in &mut organizations {
        let more = keys.remove(&organization.id);
        organization.keys.append(&mut more.unwrap_or_default());
    }
    Ok((organizations, sum))
}

/// Hands over all rows, as long as someone takes them.
fn send_rows(connection: &Connection, heaps: &mpsc::SyncSender<Heap>) -> Result<(), StateError> {
    for (sql, heap_of) in [
        (
            "SELECT bundle, checksum FROM organizations",
            Heap::Organizations as fn(_) -> Heap,
        ),
        ("SELECT keys, checksum FROM keys", Heap::Keys),
    ] {
        let mut found = connection.prepare(sql)?;
        let mut rows = found.query([])?;
        loop {
            let mut some = Vec::with_capacity(AT_A_TIME);
            while some.len() < AT_A_TIME
                && let Some(row) = rows.next()?
            {
                some.push((row.get(0)?, row.get(1)?));
            }
            if some.is_empty() {
                break;
            }
            if heaps.send(heap_of(some)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn make(heaps: &Mutex<mpsc::Receiver<Heap>>) -> Result<Made, StateError> {
    let mut made = Made::default();
    loop {
        let next = heaps.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(Heap::Organizations(rows)) => {
                for (text, checksum) in rows {
                    made.organizations
                        .push(checked(&text, &checksum, &mut made.sum)?);
                }
            }
            Ok(Heap::Keys(rows)) => {
                for (text, checksum) in rows {
                    let part: KeyPart = checked(&text, &checksum, &mut made.sum)?;
                    made.keys
                        .entry(part.organization)
                        .or_default()
                        .extend(part.keys);
                }
            }
            Err(mpsc::RecvError) => return Ok(made),
        }
    }
}

/// What a row says, if it is as it was written.
fn checked<T: DeserializeOwned>(
    text: &str,
    checksum: &[u8],
    sum: &mut Sum,
) -> Result<T, StateError> {
    if Sha256::of(text).as_ref() != checksum {
        return Err(damaged("an organization is not as it was written"));
    }
    sum.toggle(checksum);
    serde_json::from_str(text).map_err(damaged)
}
