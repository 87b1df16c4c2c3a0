//! How long things take, counted in fixed steps: bounded memory whether anybody reads it or not, and two
//! additions each time.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

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

/// What is measured of a gateway.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    /// Requests that were forwarded, from the head to the end of both bodies.
    pub(crate) requests: Histogram,
    /// Handshakes that were completed.
    pub(crate) handshakes: Histogram,
}

/// How many took how long.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// How many are in each step, and beyond the last.
    counts: [AtomicU64; STEPS.len() + 1],
    microseconds: AtomicU64,
}

impl Durations {
    /// As Prometheus reads it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.requests.show(
            "countersign_gateway_request_duration_seconds",
            "time of requests that were forwarded, from the head to the end of both bodies",
            &mut text,
        );
        self.handshakes.show(
            "countersign_gateway_handshake_duration_seconds",
            "time of TLS handshakes that were completed, from the connection on",
            &mut text,
        );
        text
    }
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

    fn show(&self, name: &str, help: &str, text: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut all = 0;
        let ends = STEPS.iter().map(|(_, end)| *end).chain(["+Inf"]);
        for (count, end) in self.counts.iter().zip(ends) {
            all += count.load(Ordering::Relaxed);
            let _ = writeln!(text, "{name}_bucket{{le=\"{end}\"}} {all}");
        }
        let micros = self.microseconds.load(Ordering::Relaxed);
        let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
        let _ = writeln!(text, "{name}_sum {whole}.{rest:06}\n{name}_count {all}");
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
        let mut text = String::new();
        histogram.show("x", "y", &mut text);
        for line in [
            "# HELP x y",
            "# TYPE x histogram",
            "x_bucket{le=\"0.0005\"} 2",
            "x_bucket{le=\"0.001\"} 3",
            "x_bucket{le=\"0.5\"} 3",
            "x_bucket{le=\"1\"} 4",
            "x_bucket{le=\"60\"} 4",
            "x_bucket{le=\"+Inf\"} 5",
            "x_sum 91.001001",
            "x_count 5",
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
