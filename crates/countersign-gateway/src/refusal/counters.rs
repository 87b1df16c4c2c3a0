//! Counters of verdicts, looked up once.

use countersign_types::error::ErrorCode;
use metrics::{Counter, counter};

use crate::access_log::record::PERMIT;

/// The verdicts that were enforced.
pub(super) fn enforced() -> VerdictCounters {
    VerdictCounters::new(|code| counter!("countersign_gateway_verdicts_total", "code" => code))
}

/// The verdicts that other proxies asked for in this way.
pub(super) fn decided(door: &'static str) -> VerdictCounters {
    VerdictCounters::new(
        |code| counter!("countersign_gateway_verdicts_total", "code" => code, "door" => door),
    )
}

/// The verdicts of anchors that are only reported.
pub(super) fn report_only() -> VerdictCounters {
    VerdictCounters::new(
        |code| counter!("countersign_gateway_report_verdicts_total", "code" => code),
    )
}

/// A counter for each verdict.
pub(super) struct VerdictCounters {
    passed: Counter,
    /// In the order of [`ErrorCode::ALL`].
    refused: Vec<Counter>,
}

impl VerdictCounters {
    fn new(counter: impl Fn(&'static str) -> Counter) -> Self {
        Self {
            passed: counter(PERMIT),
            refused: ErrorCode::ALL
                .iter()
                .map(|code| counter(code.as_str()))
                .collect(),
        }
    }

    /// Counts a refusal with this code; without one, a request that passed.
    pub(super) fn count(&self, code: Option<ErrorCode>) {
        let index = code.and_then(|code| ErrorCode::ALL.iter().position(|each| *each == code));
        index
            .and_then(|index| self.refused.get(index))
            .unwrap_or(&self.passed)
            .increment(1);
    }
}
