//! Changes of workload identity providers and federation rules among changes that are previewed.

use countersign_types::{audit::AuditEvent, preview::TrustChange};

use super::{body::RequestBody, error::ApiError};
use crate::store::WriteTx;

/// Makes such a change, and answers with its audit events; any other does nothing.
pub(super) async fn make_in(
    tx: &mut WriteTx,
    change: TrustChange,
) -> Result<Vec<AuditEvent>, ApiError> {
    Ok(match change {
        TrustChange::UpdateWorkloadIdentityProvider {
            workload_identity_provider_id: id,
            provider: mut request,
        } => {
            request.check().map_err(|error| error.within("provider"))?;
            let updated = tx.update_workload_identity_provider(&id, request);
            updated.await?.events
        }
        TrustChange::DeleteWorkloadIdentityProvider {
            workload_identity_provider_id: id,
        } => tx.delete_workload_identity_provider(&id).await?.events,
        TrustChange::CreateFederationRule {
            workload_identity_provider_id: provider,
            mut rule,
        } => {
            rule.check().map_err(|error| error.within("rule"))?;
            tx.create_federation_rule(&provider, rule).await?.events
        }
        TrustChange::UpdateFederationRule {
            workload_identity_provider_id: provider,
            federation_rule_id: id,
            mut rule,
        } => {
            rule.check().map_err(|error| error.within("rule"))?;
            let updated = tx.update_federation_rule(&provider, &id, rule);
            updated.await?.events
        }
        TrustChange::DeleteFederationRule {
            workload_identity_provider_id: provider,
            federation_rule_id: id,
        } => tx.delete_federation_rule(&provider, &id).await?.events,
        _ => Vec::new(),
    })
}
