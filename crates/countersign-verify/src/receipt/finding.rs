//! What was found of a receipt.

use countersign_types::receipt::ReceiptClaims;
use serde::Serialize;

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// It has the form of a receipt.
    Form,
    /// The events of the export are whole.
    AuditLog,
    /// The audit log says whose the key is that signed it, and had not withdrawn it.
    SigningKey,
    /// That key signed it.
    Signature,
    /// The event that the gateway had seen is in the log.
    Head,
    /// That event belongs to the change that the receipt names.
    Revision,
    /// It was made after that event.
    Time,
    /// The project was there, and was not archived.
    Project,
    /// The key, or the service account of the token, was there.
    Caller,
    /// The code is one that goes with what else it says.
    Code,
    /// The anchor was enforced there; or none was, if it names none.
    Anchor,
    /// Nothing that it rests on was taken away before.
    Superseded,
    /// The digest of the bundle.
    Bundle,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingResult {
    /// It is so.
    Holds,
    /// It does not fit.
    Fails,
    /// The export cannot prove it.
    Unproven,
    /// No audit log can say it.
    NotChecked,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// What came of it.
    pub result: FindingResult,
    /// In words.
    pub detail: String,
}

/// What was found of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptReport {
    /// Whether everything that an audit log can prove is proved.
    pub verified: bool,
    /// What the receipt says; to be believed only if it is verified.
    pub receipt: Option<ReceiptClaims>,
    /// What was looked at. It ends where the rest cannot be believed.
    pub findings: Vec<Finding>,
}

impl Finding {
    pub(super) fn new(result: FindingResult, check: Check, detail: impl Into<String>) -> Self {
        Self {
            check,
            result,
            detail: detail.into(),
        }
    }

    pub(super) fn holds(check: Check, detail: impl Into<String>) -> Self {
        Self::new(FindingResult::Holds, check, detail)
    }

    pub(super) fn fails(check: Check, detail: impl Into<String>) -> Self {
        Self::new(FindingResult::Fails, check, detail)
    }

    pub(super) fn unproven(check: Check, detail: impl Into<String>) -> Self {
        Self::new(FindingResult::Unproven, check, detail)
    }
}

impl ReceiptReport {
    pub(super) fn of(receipt: Option<ReceiptClaims>, findings: Vec<Finding>) -> Self {
        let good = [FindingResult::Holds, FindingResult::NotChecked];
        Self {
            verified: findings.iter().all(|each| good.contains(&each.result)),
            receipt,
            findings,
        }
    }
}
