//! What is remembered of refusals, for `countersign explain`.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_types::{digest::Sha256, id::RequestId};
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::refused::findings;
use crate::verdict::{refused_chain::RefusedChain, report_only::ReportOnlyVerdict};

/// How many refusals, and how many requests that would be refused, are remembered.
const MAX_REMEMBERED: usize = 2_048;

/// A refusal as `countersign explain` shows it.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Explanation {
    pub(crate) request_id: RequestId,
    pub(crate) time: u64,
    pub(crate) code: &'static str,
    /// Whether the request passed, and would be refused by anchors that are only reported.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) report_only: bool,
    pub(crate) reason: String,
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) leaf_sha256: Option<Sha256>,
    /// Whether a receipt of it is in the access log.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) receipt: bool,
    pub(crate) trace: serde_json::Value,
}

/// The latest refusals, for `countersign explain`. Their findings are written out only when somebody
/// asks: a refused client may ask as often as it likes.
#[derive(Debug, Default)]
pub(crate) struct Explanations(Mutex<VecDeque<(Explanation, Option<Arc<RefusedChain>>)>>);

impl Explanations {
    /// Remembers a refusal, without its findings.
    pub(crate) fn remember(
        &self,
        explanation: Explanation,
        refused_chain: Option<Arc<RefusedChain>>,
    ) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MAX_REMEMBERED {
            latest.pop_front();
        }
        latest.push_back((explanation, refused_chain));
    }

    /// The newest ones, without their findings.
    pub(crate) fn newest(&self, count: usize) -> Vec<Explanation> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = latest.iter().rev().take(count);
        newest.map(|(explanation, _)| explanation.clone()).collect()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Explanation> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (explanation, refused_chain) = latest
            .iter()
            .rev()
            .find(|(explanation, _)| explanation.request_id.as_str() == id)?;
        let trace = refused_chain
            .as_ref()
            .map(|refused_chain| serde_json::json!(refused_chain.refusal.trace()));
        Some(Explanation {
            trace: trace.unwrap_or_default(),
            ..explanation.clone()
        })
    }
}

/// The latest requests that would be refused. They are kept apart from those that were, so that a
/// roll-out does not push out the refusals; and their findings are written out only when somebody
/// asks, because during a roll-out every request may be one of them.
#[derive(Debug, Default)]
pub(crate) struct ReportOnlyExplanations(Mutex<VecDeque<(Explanation, Arc<ReportOnlyVerdict>)>>);

impl ReportOnlyExplanations {
    /// Remembers a request, without its findings.
    pub(crate) fn remember(&self, explanation: Explanation, verdict: Arc<ReportOnlyVerdict>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MAX_REMEMBERED {
            latest.pop_front();
        }
        latest.push_back((explanation, verdict));
    }

    pub(crate) fn find(&self, id: &str) -> Option<Explanation> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (explanation, verdict) = latest
            .iter()
            .rev()
            .find(|(explanation, _)| explanation.request_id.as_str() == id)?;
        let refusal = verdict.refusal()?;
        Some(Explanation {
            reason: findings(refusal),
            trace: serde_json::json!(refusal.trace()),
            ..explanation.clone()
        })
    }
}
