//! The ids in a path.

use std::str::FromStr;

use countersign_types::id::{
    ApiKeyId, AssertionId, CertificateId, CrlId, DenialId, FederationRuleId, GatewayId, ProjectId,
    ReceiptKeyId, RotationId, ServiceAccountId, WebhookId, WorkloadIdentityProviderId,
};

use super::{call::Call, contract::Contract, error::ApiError, extract::Extract};

/// The next id in the path. A malformed one is answered as an unknown one.
pub(super) struct Path<Id>(pub(super) Id);

/// An id that a path names a resource by.
pub(super) trait PathId: FromStr + Send + 'static {
    /// What it identifies, in words.
    const NOUN: &'static str;
}

macro_rules! path_ids {
    ($($id:ty: $noun:literal),+ $(,)?) => {
        $(impl PathId for $id {
            const NOUN: &'static str = $noun;
        })+
    };
}

path_ids! {
    ApiKeyId: "API key",
    AssertionId: "assertion",
    CertificateId: "certificate",
    CrlId: "CRL",
    DenialId: "denial",
    FederationRuleId: "federation rule",
    GatewayId: "gateway",
    ProjectId: "project",
    ReceiptKeyId: "receipt key",
    RotationId: "rotation",
    ServiceAccountId: "service account",
    WebhookId: "webhook",
    WorkloadIdentityProviderId: "workload identity provider",
}

impl<Id: PathId> Extract for Path<Id> {
    fn extract(call: &mut Call) -> Result<Self, ApiError> {
        let sent = call.ids.next();
        let id = sent.and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| ApiError::no_such(Id::NOUN))
    }

    fn describe(contract: &mut Contract) {
        contract.ids.push(Id::NOUN);
    }
}
