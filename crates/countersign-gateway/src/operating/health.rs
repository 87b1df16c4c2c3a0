//! Whether this process serves as it should, and what an operator should know of it: its threads, its
//! log, what it was last told to reload, and whether it is stopping. What is known of the control plane is
//! in [`crate::contact`].

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::{Gauge, gauge};

/// How often a serving thread shows that it moves.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long a serving thread may show nothing before the process is not ready.
const STUCK: Duration = Duration::from_secs(10);

/// The state of this process.
#[derive(Debug)]
pub(crate) struct Health {
    begun: Instant,
    /// When each serving thread last moved, in milliseconds since the beginning.
    moved: Vec<AtomicU64>,
    stopping: AtomicBool,
    troubles: Mutex<Troubles>,
}

/// What is wrong though requests are served. Each is none, or says why.
#[derive(Debug, Default)]
struct Troubles {
    access_log: Option<String>,
    reopening: Option<String>,
    configuration: Option<String>,
    server_certificate: Option<String>,
    upstream_tls: Option<String>,
    decisions: Option<String>,
    receipts: Option<String>,
}

/// What can be in trouble.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// Lines cannot be written to it.
    AccessLog,
    /// The access log could not be opened again.
    Reopening,
    /// It could not be reloaded.
    Configuration,
    /// It could not be reloaded.
    ServerCertificate,
    /// The files for TLS to an upstream could not be reloaded.
    UpstreamTls,
    /// The files with which proxies that ask prove themselves could not be reloaded.
    Decisions,
    /// The control plane could not be told of the key.
    Receipts,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::AccessLog,
        Self::Reopening,
        Self::Configuration,
        Self::ServerCertificate,
        Self::UpstreamTls,
        Self::Decisions,
        Self::Receipts,
    ];

    /// Its metric, which is 1 while it is in trouble.
    fn gauge(self) -> Gauge {
        let name = match self {
            Self::AccessLog => "access_log",
            Self::Reopening => "access_log_not_reopened",
            Self::Configuration => "configuration_not_reloaded",
            Self::ServerCertificate => "server_certificate_not_reloaded",
            Self::UpstreamTls => "upstream_tls_not_reloaded",
            Self::Decisions => "decisions_not_reloaded",
            Self::Receipts => "receipt_key_not_registered",
        };
        gauge!("countersign_gateway_warning", "warning" => name)
    }
}

impl Health {
    /// A process whose serving threads, so many, all move.
    pub(crate) fn new(threads: usize) -> Self {
        for part in Part::ALL {
            part.gauge().set(0.0);
        }
        Self {
            begun: Instant::now(),
            moved: (0..threads).map(|_| AtomicU64::new(0)).collect(),
            stopping: AtomicBool::new(false),
            troubles: Mutex::default(),
        }
    }

    /// Notes that a serving thread moves.
    pub(super) fn beat(&self, thread: usize) {
        if let Some(moved) = self.moved.get(thread) {
            moved.store(self.milliseconds(), Ordering::Relaxed);
        }
    }

    /// Notes that the process is stopping.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Why no new request should be sent here.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("the gateway is stopping".to_owned());
        }
        self.stuck()
    }

    /// Which serving thread does not move, and since when.
    pub(super) fn stuck(&self) -> Option<String> {
        let now = self.milliseconds();
        self.moved.iter().enumerate().find_map(|(thread, moved)| {
            let for_long = now.saturating_sub(moved.load(Ordering::Relaxed));
            let for_long = Duration::from_millis(for_long);
            (for_long > STUCK).then(|| {
                let seconds = for_long.as_secs();
                format!("serving thread {thread} has not moved for {seconds} s")
            })
        })
    }

    /// Sets why a part is in trouble, or that it is not; whether that was not known.
    pub(crate) fn set(&self, part: Part, trouble: Option<String>) -> bool {
        let mut troubles = self.troubles();
        let known = match part {
            Part::AccessLog => &mut troubles.access_log,
            Part::Reopening => &mut troubles.reopening,
            Part::Configuration => &mut troubles.configuration,
            Part::ServerCertificate => &mut troubles.server_certificate,
            Part::UpstreamTls => &mut troubles.upstream_tls,
            Part::Decisions => &mut troubles.decisions,
            Part::Receipts => &mut troubles.receipts,
        };
        part.gauge().set(if trouble.is_some() { 1.0 } else { 0.0 });
        let is_news = *known != trouble;
        *known = trouble;
        is_news
    }

    /// What is wrong, in words, though requests are served.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let troubles = self.troubles();
        let each = [
            ("the access log cannot be written", &troubles.access_log),
            (
                "the access log was not opened again, and the old file stays in use",
                &troubles.reopening,
            ),
            (
                "the configuration was not reloaded, and the old one stays in use",
                &troubles.configuration,
            ),
            (
                "the server certificate was not reloaded, and the old one stays in use",
                &troubles.server_certificate,
            ),
            (
                "files for TLS to an upstream were not reloaded, and the old ones stay in use",
                &troubles.upstream_tls,
            ),
            (
                "files of `decisions` were not reloaded, and the old ones stay in use",
                &troubles.decisions,
            ),
            (
                "the key for receipts is not registered everywhere, and requests pass without",
                &troubles.receipts,
            ),
        ];
        let each = each.into_iter();
        each.filter_map(|(what, why)| Some(format!("{what}: {}", why.as_ref()?)))
            .collect()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_does_not_move_is_named() {
        let mut health = Health::new(2);
        assert_eq!(health.not_ready(), None);
        health.begun -= STUCK + Duration::from_secs(2);
        health.beat(0);
        let why = health.not_ready().unwrap();
        assert_eq!(why, "serving thread 1 has not moved for 12 s");
        health.beat(1);
        assert_eq!(health.not_ready(), None);
    }

    #[test]
    fn what_is_stopping_is_not_ready() {
        let health = Health::new(1);
        health.stop();
        assert_eq!(
            health.not_ready().as_deref(),
            Some("the gateway is stopping")
        );
    }

    #[test]
    fn a_trouble_is_news_once_and_a_warning_until_it_is_over() {
        let health = Health::new(1);
        let full = || Some("no space left".to_owned());
        assert!(health.set(Part::AccessLog, full()));
        assert!(!health.set(Part::AccessLog, full()));
        assert_eq!(
            health.warnings(),
            ["the access log cannot be written: no space left"]
        );
        assert!(health.set(Part::AccessLog, None));
        assert!(health.warnings().is_empty());
    }
}
