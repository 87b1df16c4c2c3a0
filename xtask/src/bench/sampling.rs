//! What is asked of a server under measurement, and the medians of what that cost.

use crate::{
    bench::{
        load::{self, Requests},
        server::{Server, cpu_seconds_of_family},
    },
    process::Outcome,
};

/// A server and one kind of request to it.
pub(crate) struct Subject<'a> {
    pub(crate) name: String,
    pub(crate) operation: &'static str,
    /// Certificates stored behind it; 0 where that means nothing.
    pub(crate) certificates: usize,
    pub(crate) server: &'a Server,
    /// The first process of the database server, if there is one.
    pub(crate) database: Option<u32>,
    pub(crate) requests: Requests,
}

/// What a kind of request cost: medians over the rounds.
#[derive(Clone, serde::Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) operation: &'static str,
    pub(crate) certificates: usize,
    pub(crate) requests_per_second: f64,
    pub(crate) cpu_microseconds: f64,
    pub(crate) database_cpu_microseconds: f64,
    pub(crate) requests: usize,
    pub(crate) rounds: usize,
}

/// How much to ask: enough for the clock of CPU time, which ticks in hundredths of a second.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
}

#[derive(Clone, Copy)]
struct Sample {
    per_second: f64,
    cpu: f64,
    database_cpu: f64,
}

/// Measures every subject once per round, so that what disturbs the machine disturbs all alike.
pub(crate) fn measure(subjects: &[Subject<'_>], effort: Effort) -> Outcome<Vec<Measured>> {
    let counts = subjects
        .iter()
        .map(|subject| warm_up(subject, effort))
        .collect::<Outcome<Vec<_>>>()?;
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); subjects.len()];
    for _ in 0..effort.rounds {
        for ((subject, count), taken) in subjects.iter().zip(&counts).zip(&mut samples) {
            taken.push(subject.sample(*count)?);
        }
    }
    let rows = subjects.iter().zip(counts).zip(samples);
    Ok(rows
        .map(|((subject, count), taken)| subject.medians(count, &taken))
        .collect())
}

/// Sends each subject's requests once and takes the medians over the subjects, which are rounds
/// of the same thing that cannot be repeated.
pub(crate) fn measure_once(rounds: &[Subject<'_>]) -> Outcome<Measured> {
    let samples = rounds
        .iter()
        .map(|subject| subject.sample(subject.requests.len()))
        .collect::<Outcome<Vec<_>>>()?;
    let first = rounds.first().ok_or("no rounds to measure")?;
    Ok(first.medians(first.requests.len(), &samples))
}

/// Fills the caches, and finds how many requests take the wanted time.
fn warm_up(subject: &Subject<'_>, effort: Effort) -> Outcome<usize> {
    let some = 32 * load::CONNECTIONS;
    let sample = subject.sample(some)?;
    let wanted = sample.per_second * effort.seconds;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of requests: positive, and far below the limits of both types"
    )]
    let count = wanted as usize;
    // Whole turns of the connections, so that requests that belong in pairs stay in pairs.
    Ok(count.max(1).next_multiple_of(2 * load::CONNECTIONS))
}

impl Subject<'_> {
    fn sample(&self, count: usize) -> Outcome<Sample> {
        let (cpu, database_cpu) = self.cpu()?;
        let seconds = load::drive(self.server.address, &self.requests, count)
            .map_err(|failure| format!("{}, {}: {failure}", self.name, self.operation))?;
        let (cpu_after, database_cpu_after) = self.cpu()?;
        let requests = count_as_number(count);
        Ok(Sample {
            per_second: requests / seconds,
            cpu: (cpu_after - cpu) / requests,
            database_cpu: (database_cpu_after - database_cpu) / requests,
        })
    }

    fn cpu(&self) -> Outcome<(f64, f64)> {
        let database = self.database.map_or(Ok(0.0), cpu_seconds_of_family)?;
        Ok((self.server.cpu_seconds()?, database))
    }

    fn medians(&self, requests: usize, samples: &[Sample]) -> Measured {
        let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
        Measured {
            name: self.name.clone(),
            operation: self.operation,
            certificates: self.certificates,
            requests_per_second: of(|sample| sample.per_second),
            cpu_microseconds: of(|sample| sample.cpu * 1e6),
            database_cpu_microseconds: of(|sample| sample.database_cpu * 1e6),
            requests,
            rounds: samples.len(),
        }
    }
}

fn count_as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn one_disturbed_round_does_not_move_the_median() {
        assert!((median(vec![2.0, 900.0, 1.0]) - 2.0).abs() < f64::EPSILON);
    }
}
