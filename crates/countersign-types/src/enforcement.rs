//! Whether something is enforced or only reported.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What happens to a request that an active anchor does not let through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It is refused.
    #[default]
    Enforce,
    /// The refusal is only counted and logged; the request passes.
    Report,
}

impl Enforcement {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

impl FromStr for Enforcement {
    type Err = UnknownEnforcement;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Enforce, Self::Report];
        all.into_iter()
            .find(|one| one.as_str() == text)
            .ok_or(UnknownEnforcement)
    }
}

/// A word that is neither `enforce` nor `report`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownEnforcement;
