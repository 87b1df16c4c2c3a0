//! The figures of all rounds, their medians, and their ratio to the peers'.

use serde::Serialize;

use crate::{
    bench::{
        gateway::{
            measures::{GET, HTTP2, LARGE, MEMORY, P50, POST, SEEN, UNSEEN},
            proxy::{BEFORE, COUNTERSIGN, ENVOY, HAPROXY, HAPROXY_GIVEN, NGINX, UNOBSERVED},
        },
        report::Goal,
        sampling::median,
    },
    process::say,
};

/// Every sample, by server and measure, in the order in which they first came.
#[derive(Default)]
pub(crate) struct Figures(Vec<Samples>);

struct Samples {
    server: &'static str,
    measure: &'static str,
    unit: &'static str,
    taken: Vec<f64>,
    /// The figure of all rounds together, where that is more than the median of theirs.
    all: Option<f64>,
}

/// The result of one server in one measure.
#[derive(Serialize)]
pub(crate) struct Figure {
    server: &'static str,
    measure: &'static str,
    unit: &'static str,
    median: f64,
    /// The figure of all rounds together; none where there is only one of each.
    all: Option<f64>,
    lowest: f64,
    highest: f64,
    rounds: usize,
    /// The ratio to the best of the others; none without any.
    ratio: Option<f64>,
}

impl Figures {
    pub(crate) fn add(
        &mut self,
        server: &'static str,
        measure: &'static str,
        unit: &'static str,
        sample: f64,
    ) {
        let known = self
            .0
            .iter_mut()
            .find(|samples| samples.server == server && samples.measure == measure);
        match known {
            Some(samples) => samples.taken.push(sample),
            None => self.0.push(Samples {
                server,
                measure,
                unit,
                taken: vec![sample],
                all: None,
            }),
        }
    }

    /// Sets the figure of all rounds together.
    pub(crate) fn set_all(&mut self, server: &str, measure: &str, figure: f64) {
        let mut samples = self.0.iter_mut();
        let known = samples.find(|samples| samples.server == server && samples.measure == measure);
        if let Some(known) = known {
            known.all = Some(figure);
        }
    }

    /// The figure of all rounds together, or else the median of theirs.
    pub(crate) fn value(&self, server: &str, measure: &str) -> Option<f64> {
        let mut samples = self.0.iter();
        let samples =
            samples.find(|samples| samples.server == server && samples.measure == measure);
        samples.map(Samples::value)
    }

    pub(crate) fn medians(&self) -> Vec<Figure> {
        let best = |measure| {
            let peers =
                [NGINX, HAPROXY, HAPROXY_GIVEN, ENVOY].map(|peer| self.value(peer, measure));
            let best = peers.into_iter().flatten().reduce(f64::min);
            best.filter(|best| *best > 0.0)
        };
        let figures = self.0.iter().map(|samples| Figure {
            server: samples.server,
            measure: samples.measure,
            unit: samples.unit,
            median: median(samples.taken.clone()),
            all: samples.all,
            lowest: samples.taken.iter().copied().fold(f64::INFINITY, f64::min),
            highest: samples.taken.iter().copied().fold(0.0, f64::max),
            rounds: samples.taken.len(),
            ratio: best(samples.measure).map(|best| samples.value() / best),
        });
        figures.collect()
    }
}

impl Samples {
    fn value(&self) -> f64 {
        self.all.unwrap_or_else(|| median(self.taken.clone()))
    }
}

impl Figure {
    fn value(&self) -> f64 {
        self.all.unwrap_or(self.median)
    }
}

fn find<'a>(figures: &'a [Figure], server: &str, measure: &str) -> Option<&'a Figure> {
    let mut figures = figures.iter();
    figures.find(|figure| figure.server == server && figure.measure == measure)
}

/// One line a measure, one column a server.
pub(crate) fn print(figures: &[Figure]) {
    let has_before = figures.iter().any(|figure| figure.server == BEFORE);
    let mut servers = vec![COUNTERSIGN];
    servers.extend(has_before.then_some(BEFORE));
    let is_given = figures.iter().any(|figure| figure.server == HAPROXY_GIVEN);
    servers.extend([NGINX, HAPROXY]);
    servers.extend(is_given.then_some(HAPROXY_GIVEN));
    servers.push(ENVOY);
    let mut head = format!("{:<34} {:<7}", "", "");
    for server in &servers {
        head += &format!(" {server:>16}");
    }
    say(&head);
    let first: Vec<_> = figures
        .iter()
        .filter(|figure| figure.server == COUNTERSIGN)
        .collect();
    for figure in first {
        let mut line = format!("{:<34} {:<7}", figure.measure, figure.unit);
        for server in &servers {
            let cell = find(figures, server, figure.measure).map_or_else(
                || "-".to_owned(),
                |figure| match figure.ratio {
                    Some(ratio) => format!("{:.1} ({ratio:.2})", figure.value()),
                    None => format!("{:.1}", figure.value()),
                },
            );
            line += &format!(" {cell:>16}");
        }
        say(&line);
    }
    for figure in figures.iter().filter(|figure| figure.all.is_some()) {
        say(&format!(
            "{}, {}: all rounds {:.1}; each round: lowest {:.1}, median {:.1}, highest {:.1}",
            figure.server,
            figure.measure,
            figure.value(),
            figure.lowest,
            figure.median,
            figure.highest
        ));
    }
    if let Some(cost) = observing(figures) {
        let percent = (cost - 1.0) * 100.0;
        say(&format!(
            "{GET}: observations cost {percent:+.1} % of its CPU"
        ));
    }
}

/// The ratio of a request's CPU with observations to that without.
fn observing(figures: &[Figure]) -> Option<f64> {
    let median = |server| Some(find(figures, server, GET)?.median);
    Some(median(COUNTERSIGN)? / median(UNOBSERVED)?)
}

/// The goals, without those whose peers are missing.
pub(crate) fn goals(figures: &[Figure]) -> Vec<Goal> {
    let ours = |measure| find(figures, COUNTERSIGN, measure);
    let ratio = |measure| ours(measure).and_then(|figure| figure.ratio);
    let mut goals = Vec::new();
    for (measure, limit) in [(UNSEEN, 1.25), (SEEN, 1.5)] {
        let better = ratio(measure).map(|ratio| 1.0 / ratio);
        let goal = format!("{measure}: times better than the best of the others");
        goals.extend(better.map(|better| Goal::at_least(&goal, better, limit)));
    }
    let shares = [(GET, 0.9), (POST, 0.9), (HTTP2, 0.97), (LARGE, 0.7)];
    for (measure, limit) in shares {
        let goal = format!("{measure}: of the CPU of the best of the others");
        goals.extend(ratio(measure).map(|ratio| Goal::at_most(&goal, ratio, limit)));
    }
    let observing = observing(figures);
    let goal = format!("{GET}: CPU with observations, of that without");
    goals.extend(observing.map(|share| Goal::at_most(&goal, share, 1.03)));
    let against = |peer, measure| {
        let (ours, peer) = (ours(measure)?, find(figures, peer, measure)?);
        Some(peer.value() / ours.value())
    };
    let memory = against(NGINX, MEMORY).map(f64::recip);
    let goal = format!("{MEMORY}: of nginx's");
    goals.extend(memory.map(|share| Goal::at_most(&goal, share, 1.0)));
    for (measure, limit) in [
        (UNSEEN, 1.5),
        (SEEN, 1.5),
        (GET, 1.0),
        (POST, 1.0),
        (HTTP2, 1.0),
        (LARGE, 1.0),
        (MEMORY, 1.0),
        (P50, 1.0),
    ] {
        let goal = format!("{measure}: times better than Envoy");
        let better = against(ENVOY, measure);
        goals.extend(better.map(|better| Goal::at_least(&goal, better, limit)));
    }
    goals
}
