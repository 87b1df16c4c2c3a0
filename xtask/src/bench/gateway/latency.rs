//! How long answers take, above what the upstream takes by itself. All answers of all rounds count as one: a
//! round alone has too few for its slowest hundredth.

use crate::{
    bench::gateway::{
        figures::Figures,
        measures::{P50, P99, SLOW},
        traffic::{microseconds, quantile},
    },
    process::say,
};

/// What is slow enough to be a stall.
const SLOW_NS: u64 = 1_000_000;

/// So many answers between two slow ones, and they belong to one stall.
const GAP: usize = 10;

/// The answers of each server, and of the upstream asked directly.
#[derive(Default)]
pub(crate) struct Latencies {
    upstream: Vec<Vec<u64>>,
    servers: Vec<(&'static str, Vec<Vec<u64>>)>,
}

impl Latencies {
    /// Adds a part of a round: of a server, or of the upstream itself.
    pub(crate) fn add(&mut self, server: Option<&'static str>, round: usize, took: Vec<u64>) {
        let rounds = match server {
            None => &mut self.upstream,
            Some(server) => {
                let known = self.servers.iter().position(|(name, _)| *name == server);
                let at = known.unwrap_or_else(|| {
                    self.servers.push((server, Vec::new()));
                    self.servers.len() - 1
                });
                match self.servers.get_mut(at) {
                    Some((_, rounds)) => rounds,
                    None => return,
                }
            }
        };
        if rounds.len() <= round {
            rounds.resize(round + 1, Vec::new());
        }
        if let Some(known) = rounds.get_mut(round) {
            known.extend(took);
        }
    }

    /// Adds each round's figures, and those of all rounds together.
    pub(crate) fn report(&self, figures: &mut Figures) {
        let own = self.upstream.concat();
        say(&format!("the upstream asked directly: {}", stalls(&own)));
        for (server, rounds) in &self.servers {
            for (name, percent) in [(P50, 50), (P99, 99)] {
                let added = |all: &[u64], own: &[u64]| {
                    Some(
                        microseconds(quantile(all, percent)?)
                            - microseconds(quantile(own, percent)?),
                    )
                };
                for (all, own) in rounds.iter().zip(&self.upstream) {
                    if let Some(added) = added(all, own) {
                        figures.add(server, name, "us", added);
                    }
                }
                if let Some(added) = added(&rounds.concat(), &own) {
                    figures.set_all(server, name, added);
                }
            }
            for all in rounds {
                let slow = all.iter().filter(|took| **took > SLOW_NS).count();
                let share = as_number(slow) * 1e4 / as_number(all.len().max(1));
                figures.add(server, SLOW, "of 10k", share);
            }
            say(&format!("{server}: {}", stalls(&rounds.concat())));
        }
    }
}

/// The stalls among answers in the order of their requests, in words.
fn stalls(took: &[u64]) -> String {
    let (mut slow, mut stalls, mut longest) = (0, 0, 0);
    let mut last = None;
    for (number, each) in took.iter().enumerate().filter(|(_, each)| **each > SLOW_NS) {
        slow += 1;
        longest = longest.max(*each);
        if last.is_none_or(|last| number - last > GAP) {
            stalls += 1;
        }
        last = Some(number);
    }
    let all = took.len();
    format!(
        "of {all} answers {slow} took over 1 ms, in {stalls} stalls; the slowest {:.1} ms",
        microseconds(longest) / 1e3
    )
}

fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rounds_count_as_one_and_what_is_slow_together_is_one_stall() {
        let mut latencies = Latencies::default();
        for round in 0..2 {
            latencies.add(None, round, vec![1_000; 100]);
            let mut took = vec![11_000; 100];
            // One stall of a round moves its own slowest hundredth, and not that of both.
            if round == 1 {
                took.splice(50..52, [3_000_000, 2_000_000]);
            }
            latencies.add(Some("a"), round, took);
        }
        let mut figures = Figures::default();
        latencies.report(&mut figures);
        assert_eq!(figures.value("a", P50), Some(10.0));
        let all = latencies.servers[0].1.concat();
        assert_eq!(
            stalls(&all),
            "of 200 answers 2 took over 1 ms, in 1 stalls; the slowest 3.0 ms"
        );
        assert_eq!(figures.value("a", P99), Some(1_999.0));
    }
}
