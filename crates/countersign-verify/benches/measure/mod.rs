//! How a benchmark of judging measures: medians of a thread's CPU time, printed as JSON.

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// 2027-01-15T08:00:00Z, when everything minted is valid.
pub(crate) const NOW: u64 = 1_800_000_000;

/// What one case came to: medians over the rounds.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) case: String,
    pub(crate) anchors: usize,
    pub(crate) policy: bool,
    pub(crate) microseconds: f64,
    /// Signatures checked in one verdict.
    pub(crate) signatures: usize,
}

/// One thing to measure.
pub(crate) struct Subject {
    row: Row,
    work: Box<dyn Fn()>,
    batch: u32,
    samples: Vec<f64>,
}

impl Subject {
    pub(crate) fn new(row: Row, work: impl Fn() + 'static) -> Self {
        Self {
            row,
            work: Box::new(work),
            batch: 1,
            samples: Vec::new(),
        }
    }

    /// Microseconds of this thread's CPU for one piece of work.
    fn sample(&self) -> f64 {
        let before = cpu_microseconds();
        for _ in 0..self.batch {
            (self.work)();
        }
        (cpu_microseconds() - before) / f64::from(self.batch)
    }

    /// Finds how often to work in a sample, so that one takes this long.
    fn warm_up(&mut self, microseconds: f64) {
        while self.sample() * f64::from(self.batch) < microseconds {
            self.batch *= 2;
        }
    }

    fn into_row(mut self) -> Row {
        self.samples.sort_by(f64::total_cmp);
        self.row.microseconds = *self.samples.get(self.samples.len() / 2).unwrap();
        self.row
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a thread's CPU time in nanoseconds is far below 2^53"
)]
fn cpu_microseconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Measures every subject, `--quick` only once, and prints their rows.
pub(crate) fn run(mut subjects: Vec<Subject>, rounds: u32, microseconds: f64) {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, microseconds) = if quick {
        (1, 1_000.0)
    } else {
        (rounds, microseconds)
    };
    for subject in &mut subjects {
        subject.warm_up(microseconds);
    }
    // Every subject once per round: what disturbs the machine disturbs all alike.
    for _ in 0..rounds {
        for subject in &mut subjects {
            let sample = subject.sample();
            subject.samples.push(sample);
        }
    }
    let rows: Vec<_> = subjects.into_iter().map(Subject::into_row).collect();
    println!("{}", serde_json::to_string(&rows).unwrap());
}
