//! What a gateway understands of bundles, so that nobody takes it to enforce what it passes over.

use serde::{Deserialize, Serialize};

use crate::{id::GatewayId, or_unknown::OrUnknown};

/// Something that takes access away, and that gateways of earlier versions pass over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Denials.
    Denials,
    /// Floors of trust anchors.
    Floors,
    /// Revocation lists of trust anchors, and what a missing one means.
    RevocationLists,
}

impl Capability {
    /// All of them: what a gateway of this version understands.
    pub const ALL: [Self; 3] = [Self::Denials, Self::Floors, Self::RevocationLists];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denials => "denials",
            Self::Floors => "floors",
            Self::RevocationLists => "revocation_lists",
        }
    }
}

/// A gateway that does not enforce something of an organization, since it does not understand it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LackingGateway {
    /// Its id.
    pub id: GatewayId,
    /// Its name; empty where the deployment has other organizations too.
    pub name: String,
    /// What it passes over.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Capability>))]
    pub lacks: Vec<OrUnknown<Capability>>,
}
