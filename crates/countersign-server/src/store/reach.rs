//! Which organizations a gateway's key reaches.

use std::sync::Arc;

use countersign_types::{
    digest::Sha256,
    history::HistoryPoint,
    id::{ApiKeyId, OrganizationId},
};

use super::{StoreError, connection::Connection, value::params};

/// Which organizations a gateway's key reaches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// All that there are.
    #[default]
    All,
    /// These, in order.
    Only(Arc<[OrganizationId]>),
}

impl Reach {
    /// Whether it reaches an organization.
    #[must_use]
    pub fn includes(&self, organization: &OrganizationId) -> bool {
        match self {
            Self::All => true,
            Self::Only(organizations) => organizations.contains(organization),
        }
    }

    /// A point of the history as it is told to a gateway with such a key. Its token also stands for the
    /// organizations that the gateway was sent: with a key that reaches others, its point is
    /// unknown, and it is sent everything that it may have and nothing else.
    #[must_use]
    pub fn outward(&self, point: HistoryPoint) -> HistoryPoint {
        match self {
            Self::Only(organizations) if point != HistoryPoint::START => HistoryPoint {
                token: point.token.masked(mask(organizations)),
                ..point
            },
            _ => point,
        }
    }

    /// The point of the history that such a gateway names.
    #[must_use]
    pub fn inward(&self, point: HistoryPoint) -> HistoryPoint {
        // Masked twice, a token is what it was.
        self.outward(point)
    }
}

/// What the tokens of a gateway that was sent these organizations are masked with.
fn mask(organizations: &[OrganizationId]) -> u128 {
    let ids: Vec<&str> = organizations.iter().map(OrganizationId::as_str).collect();
    let digest = Sha256::of(ids.join(" "));
    let first = digest.as_bytes().first_chunk().copied();
    u128::from_be_bytes(first.unwrap_or_default())
}

/// The organizations that a limited key reaches.
pub(super) async fn of_key(
    connection: &mut Connection,
    key: &ApiKeyId,
) -> Result<Reach, StoreError> {
    let mut organizations: Vec<OrganizationId> = connection
        .query(
            "SELECT organization_id FROM gateway_key_organizations WHERE key_id = $1",
            params![key],
        )
        .await?;
    organizations.sort();
    Ok(Reach::Only(organizations.into()))
}

#[cfg(test)]
mod tests {
    use countersign_types::history::RevisionToken;

    use super::*;

    #[test]
    fn a_point_is_known_only_to_whom_it_was_told() {
        let [a, b] = [1, 2].map(OrganizationId::from_random);
        let reaches = [
            Reach::All,
            Reach::Only([a.clone()].into()),
            Reach::Only([a.clone(), b.clone()].into()),
            Reach::Only([].into()),
        ];
        let point = HistoryPoint {
            revision: 7,
            token: RevisionToken::from_random(7),
        };
        for one in &reaches {
            for other in &reaches {
                let back = other.inward(one.outward(point));
                assert_eq!(back == point, one == other, "{one:?}, {other:?}");
            }
            assert_eq!(one.outward(HistoryPoint::START), HistoryPoint::START);
        }
        assert!(reaches[1].includes(&a) && !reaches[1].includes(&b) && reaches[0].includes(&b));
    }
}
