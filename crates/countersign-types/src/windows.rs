//! Counts for windows of some days, each of which contains whole UTC days.

use serde::{Deserialize, Serialize};

/// A count for each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Windows {
    /// Since the UTC day before today.
    pub days_1: u64,
    /// Since seven UTC days before today.
    pub days_7: u64,
    /// Since thirty UTC days before today.
    pub days_30: u64,
}
