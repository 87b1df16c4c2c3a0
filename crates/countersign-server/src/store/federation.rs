//! What exchanges of certificates for tokens need of an organization, read together.

use countersign_types::{
    bundle::OrganizationBundle,
    federation_rule::FederationRule,
    history::{HistoryPoint, RevisionToken},
    id::{OrganizationId, ProjectId, ServiceAccountId, WorkloadIdentityProviderId},
    workload_identity_provider::WorkloadIdentityProvider,
};

use super::{
    Store, StoreError, WriteTx, bundle, federation_rules,
    row::{FromRow, Row},
    token_keys::{self, StoredTokenKey},
    value::params,
    workload_identity_providers as providers,
};

/// Who a workload wants to act as, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeParties {
    /// The provider's organization.
    pub organization: OrganizationId,
    /// Its last change: what was compiled of it before is right if it is of this point.
    pub point: HistoryPoint,
    /// The service account's project; none if the organization has no such account.
    pub project: Option<ProjectId>,
}

/// What decides about an organization's exchanges.
#[derive(Debug)]
pub struct FederationState {
    /// The point that all of it is of.
    pub point: HistoryPoint,
    /// Its anchors and projects, without keys.
    pub trust: OrganizationBundle,
    /// Its providers, oldest first.
    pub providers: Vec<WorkloadIdentityProvider>,
    /// Their rules, oldest first.
    pub rules: Vec<FederationRule>,
    /// Its token keys, oldest first.
    pub keys: Vec<StoredTokenKey>,
}

impl Store {
    /// The organization of a provider, and the project of a service account of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn exchange_parties(
        &self,
        provider: &WorkloadIdentityProviderId,
        account: &ServiceAccountId,
    ) -> Result<Option<ExchangeParties>, StoreError> {
        let none = RevisionToken::NONE.to_string();
        let mut connection = self.reader().await?;
        connection
            .find(
                "SELECT o.id, o.revision, coalesce(h.token, $3), coalesce(s.project_id, '') \
                 FROM workload_identity_providers p JOIN organizations o ON o.id = p.organization_id \
                 LEFT JOIN history h ON h.revision = o.revision \
                 LEFT JOIN service_accounts s ON s.id = $2 AND s.organization_id = o.id \
                 WHERE p.id = $1",
                params![provider, account, none],
            )
            .await
    }

    /// What decides about an organization's exchanges.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    pub async fn federation(
        &self,
        organization: &OrganizationId,
    ) -> Result<FederationState, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let trust = bundle::read_trust(&mut connection, &self.inner.sets, organization).await?;
        let none = RevisionToken::NONE.to_string();
        let token: Option<RevisionToken> = connection
            .find(
                "SELECT token FROM history WHERE revision = $1",
                params![trust.revision],
            )
            .await?;
        let token = token.map_or_else(|| none.parse(), Ok);
        let token = token.map_err(|_| StoreError::Corrupt("a token of a revision".to_owned()))?;
        Ok(FederationState {
            point: HistoryPoint {
                revision: trust.revision,
                token,
            },
            providers: providers::all(&mut connection, organization).await?,
            rules: federation_rules::all(&mut connection, organization).await?,
            keys: token_keys::all(&mut connection, organization).await?,
            trust,
        })
    }
}

/// An organization's providers and rules, oldest first.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ProvidersAndRules {
    /// The providers.
    pub providers: Vec<WorkloadIdentityProvider>,
    /// Their rules.
    pub rules: Vec<FederationRule>,
}

impl WriteTx {
    /// The organization's providers and rules as this transaction has them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn providers_and_rules(&mut self) -> Result<ProvidersAndRules, StoreError> {
        Ok(ProvidersAndRules {
            providers: providers::all(&mut self.connection, &self.organization).await?,
            rules: federation_rules::all(&mut self.connection, &self.organization).await?,
        })
    }
}

impl FromRow for ExchangeParties {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            organization: row.next()?,
            point: row.several()?,
            project: row.next_unless_empty()?,
        })
    }
}
