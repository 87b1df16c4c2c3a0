//! Counting, logging and remembering verdicts.

use std::sync::Arc;

use countersign_types::{UnixSeconds, error::ErrorCode, id::RequestId};
use metrics::counter;

use super::{
    counters::{self, VerdictCounters},
    explanations::{Explanation, Explanations, ReportOnlyExplanations},
    refused::Refusal,
};
use crate::{access_log::record::Record, verdict::report_only::ReportOnlyVerdict};

/// How many refusals are listed for the operator.
const MAX_LISTED: usize = 500;

/// All refusals of a gateway.
pub(crate) struct Refusals {
    enforced: VerdictCounters,
    /// Of what other proxies asked, by how they did.
    decided: Vec<(&'static str, VerdictCounters)>,
    report_only: VerdictCounters,
    explanations: Explanations,
    report_only_explanations: ReportOnlyExplanations,
}

impl Refusals {
    /// `doors` are the ways in which other proxies may ask.
    pub(crate) fn new(doors: impl IntoIterator<Item = &'static str>) -> Self {
        let decided = |door| (door, counters::decided(door));
        Self {
            enforced: counters::enforced(),
            decided: doors.into_iter().map(decided).collect(),
            report_only: counters::report_only(),
            explanations: Explanations::default(),
            report_only_explanations: ReportOnlyExplanations::default(),
        }
    }

    /// Counts a request that passed.
    pub(crate) fn count_passed(&self, door: Option<&'static str>) {
        self.counters(door).count(None);
    }

    fn counters(&self, door: Option<&'static str>) -> &VerdictCounters {
        let Some(door) = door else {
            return &self.enforced;
        };
        let mut doors = self.decided.iter();
        let found = doors.find(|(known, _)| *known == door);
        found.map_or(&self.enforced, |(_, counters)| counters)
    }

    /// Counts a live stream that is cut.
    pub(crate) fn count_cut(&self, refusal: &Refusal) {
        counter!("countersign_gateway_streams_cut_total", "code" => refusal.code.as_str())
            .increment(1);
    }

    /// Counts and logs a refusal, and remembers it for `countersign explain`.
    pub(crate) fn refuse(&self, refusal: &Refusal, record: &Record, now: UnixSeconds) {
        self.counters(record.door()).count(Some(refusal.code));
        let Some(id) = record.request_id().cloned() else {
            return;
        };
        tracing::info!(
            request_id = %id,
            code = refusal.code.as_str(),
            reason = refusal.reason,
            organization = record.organization(),
            project = record.project(),
            key = record.key(),
            "refused"
        );
        let explanation = Explanation {
            reason: refusal.reason.clone(),
            ..explanation(id, refusal.code, record, now)
        };
        self.explanations
            .remember(explanation, refusal.refused_chain.clone());
    }

    /// Counts what anchors that are only reported would say about a request. If they would refuse
    /// it, that is remembered for `countersign explain`.
    pub(crate) fn report(
        &self,
        verdict: &Arc<ReportOnlyVerdict>,
        record: &Record,
        now: UnixSeconds,
    ) {
        self.report_only.count(verdict.code());
        if let (Some(code), Some(id)) = (verdict.code(), record.request_id().cloned()) {
            let explanation = Explanation {
                report_only: true,
                ..explanation(id, code, record, now)
            };
            self.report_only_explanations
                .remember(explanation, Arc::clone(verdict));
        }
    }

    /// The latest requests that were refused, newest first.
    pub(crate) fn latest(&self) -> Vec<Explanation> {
        self.explanations.newest(MAX_LISTED)
    }

    /// Why a request was refused, or would be.
    pub(crate) fn explain(&self, id: &str) -> Option<Explanation> {
        let refused = self.explanations.find(id);
        refused.or_else(|| self.report_only_explanations.find(id))
    }
}

/// What is known of a refused request, the findings apart.
fn explanation(id: RequestId, code: ErrorCode, record: &Record, now: UnixSeconds) -> Explanation {
    Explanation {
        request_id: id,
        time: now,
        code: code.as_str(),
        report_only: false,
        reason: String::new(),
        organization: record.organization().map(str::to_owned),
        project: record.project().map(str::to_owned),
        key: record.key().map(str::to_owned),
        leaf_sha256: record.leaf_sha256(),
        receipt: record.has_receipt(),
        trace: serde_json::Value::Null,
    }
}
