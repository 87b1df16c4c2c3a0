//! How often something took how long, counted in fixed steps: bounded memory whether anybody reads it or
//! not, and two additions each time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::prometheus_text::{Labels, value};

/// The upper ends of the steps, in microseconds, and as they are shown, in seconds.
const STEPS: [(u64, &str); 14] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
    (60_000_000, "60"),
];

/// How many took how long.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// How many are in each step, and beyond the last.
    counts: [AtomicU64; STEPS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub(crate) fn note(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let step = STEPS.partition_point(|(end, _)| *end < micros);
        if let Some(count) = self.counts.get(step) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.microseconds.fetch_add(micros, Ordering::Relaxed);
    }

    /// Adds what it counted to that of others.
    pub(super) fn add_to(&self, sums: &mut Sums) {
        for (sum, count) in sums.counts.iter_mut().zip(&self.counts) {
            *sum += count.load(Ordering::Relaxed);
        }
        sums.microseconds += self.microseconds.load(Ordering::Relaxed);
    }
}

/// What histograms counted together.
#[derive(Debug, Default)]
pub(super) struct Sums {
    counts: [u64; STEPS.len() + 1],
    microseconds: u64,
}

impl Sums {
    /// As Prometheus reads it, with these labels.
    pub(super) fn show(&self, name: &str, labels: Labels<'_>, text: &mut String) {
        let mut all = 0;
        let ends = STEPS.iter().map(|(_, end)| *end).chain(["+Inf"]);
        for (count, end) in self.counts.iter().zip(ends) {
            all += count;
            let labels = [labels, &[("le", end)]].concat();
            value(&format!("{name}_bucket"), &labels, all, text);
        }
        let (whole, rest) = (self.microseconds / 1_000_000, self.microseconds % 1_000_000);
        let sum = format!("{whole}.{rest:06}");
        value(&format!("{name}_sum"), labels, sum, text);
        value(&format!("{name}_count"), labels, all, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_counted_in_its_step_and_all_those_above() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 1_000_000, 90_000_000] {
            histogram.note(Duration::from_micros(micros));
        }
        let (mut text, mut sums) = (String::new(), Sums::default());
        histogram.add_to(&mut sums);
        sums.show("x", &[], &mut text);
        sums.show("x", &[("a", "b")], &mut text);
        for line in [
            "x_bucket{le=\"0.0005\"} 2",
            "x_bucket{le=\"0.001\"} 3",
            "x_bucket{le=\"0.5\"} 3",
            "x_bucket{le=\"1\"} 4",
            "x_bucket{le=\"60\"} 4",
            "x_bucket{le=\"+Inf\"} 5",
            "x_sum 91.001001",
            "x_count 5",
            "x_bucket{a=\"b\",le=\"60\"} 4",
            "x_sum{a=\"b\"} 91.001001",
            "x_count{a=\"b\"} 5",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}: {text}");
        }
    }

    #[test]
    fn the_steps_are_shown_as_they_are() {
        for (micros, shown) in STEPS {
            let seconds: f64 = shown.parse().unwrap();
            assert_eq!(
                Duration::from_secs_f64(seconds),
                Duration::from_micros(micros)
            );
        }
    }
}
