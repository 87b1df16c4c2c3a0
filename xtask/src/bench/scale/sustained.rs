//! Changes at a rate that does not wait for anybody: whether gateways keep up, and what that takes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    filling::Size,
    running::{ControlPlane, pause, pause_until},
};
use crate::process::Outcome;

/// How often the control plane is asked what gateways enforce.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What came of it.
pub(super) struct Sustained {
    /// Changes a second that were answered.
    pub(super) rate: f64,
    /// Seconds from when each change was sent until the control plane knew that every gateway enforces it, durably.
    pub(super) converged: Vec<f64>,
    /// Processors that the control plane used.
    pub(super) processors: f64,
}

/// What the least revision was that a gateway enforces, and when.
type Seen = Vec<(Instant, u64)>;

/// Makes so many changes, after `before` that were made already.
pub(super) fn changes(
    plane: &ControlPlane,
    size: Size,
    (before, changes): (usize, usize),
    rate: u32,
) -> Outcome<Sustained> {
    plane.until_enforced()?;
    let (first, _) = plane.enforced()?;
    let over = AtomicBool::new(false);
    let cpu = plane.server.cpu_seconds()?;
    let (begun, sent, seen) = thread::scope(|scope| -> Outcome<_> {
        let looking = scope.spawn(|| look(plane, &over));
        let begun = Instant::now();
        let sent = send(plane, size, (before, changes), begun, rate);
        let enforced = plane.until_enforced();
        over.store(true, Ordering::Relaxed);
        let seen = looking.join().map_err(|_| "nobody looked")?;
        enforced?;
        Ok((begun, sent?, seen))
    })?;
    let took = begun.elapsed().as_secs_f64();
    let processors = (plane.server.cpu_seconds()? - cpu) / took;
    let answered = sent.last().map_or(0.0, |(_, answered)| {
        answered.duration_since(begun).as_secs_f64()
    });
    // Nobody else changes anything.
    let revisions = first + 1..;
    let converged = sent
        .iter()
        .zip(revisions)
        .filter_map(|((sent, _), revision)| {
            let when = seen.iter().find(|(_, least)| *least >= revision)?.0;
            Some(when.duration_since(*sent).as_secs_f64())
        });
    let mut converged: Vec<f64> = converged.collect();
    converged.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let rate = changes as f64 / answered.max(f64::EPSILON);
    Ok(Sustained {
        rate,
        converged,
        processors,
    })
}

fn look(plane: &ControlPlane, over: &AtomicBool) -> Seen {
    let mut seen = Vec::new();
    loop {
        // Looked at once more when all is over.
        let last = over.load(Ordering::Relaxed);
        if let Ok((_, least)) = plane.enforced() {
            seen.push((Instant::now(), least));
        }
        if last {
            return seen;
        }
        pause(LOOK_EVERY);
    }
}

/// When each change was sent and answered.
fn send(
    plane: &ControlPlane,
    size: Size,
    (before, changes): (usize, usize),
    begun: Instant,
    rate: u32,
) -> Outcome<Vec<(Instant, Instant)>> {
    let every = Duration::from_secs(1) / rate.max(1);
    let mut sent = Vec::with_capacity(changes);
    for number in 0..changes {
        pause_until(begun, every, number);
        let at = Instant::now();
        plane.change(before + number, size)?;
        sent.push((at, Instant::now()));
    }
    Ok(sent)
}
