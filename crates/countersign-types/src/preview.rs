//! What an activation or a deactivation would do to the traffic that was observed.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    assertion::AssertionResult,
    capability::LackingGateway,
    certificate::{
        ActiveCertificate, CertificateToggle, CertificateToggleObject, Enforcement,
        ScopedCertificate, UploadCertificateRequest,
    },
    crl::{CertificateCrl, CrlMissing},
    denial::DenialCreateRequest,
    error::ErrorCode,
    federation_rule::{FederationRuleCreateRequest, FederationRuleUpdateRequest},
    id::{
        ApiKeyId, CertificateId, CrlId, DenialId, FederationRuleId, ProjectId, ServiceAccountId,
        WorkloadIdentityProviderId,
    },
    live_streams::StreamsEffect,
    not_null::not_null,
    or_unknown::OrUnknown,
    workload::{WorkloadIdentity, WorkloadLeaf},
    workload_identity_provider::WorkloadIdentityProviderUpdateRequest,
};

/// The response to an activation or a deactivation: that it was done, or what it would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum ToggleAnswer {
    /// It was done.
    Done(CertificateToggle),
    /// Only a preview was requested.
    Preview(Box<TogglePreview>),
}

/// What a change of activations would do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TogglePreview {
    /// What would be done, and at which scope.
    #[cfg_attr(feature = "openapi", schema(value_type = TogglePreviewObject))]
    pub object: OrUnknown<TogglePreviewObject>,
    /// The certificates as they would be, in the order of the request.
    pub data: Vec<ScopedCertificate>,
    /// What it would do to the traffic.
    #[serde(flatten)]
    pub effect: Effect,
    /// Workloads that would still pass, but would be refused if the change enforced what it only
    /// reports; those with the most requests first.
    pub would_fail_once_enforced: Vec<PreviewedWorkload>,
}

/// What a change would do to the traffic that was observed.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Effect {
    /// Whether nothing was observed at the affected scopes. The rest then means nothing, and does
    /// not say that the change is safe.
    pub knows_nothing: bool,
    /// Affected projects that have keys but no observed traffic.
    pub unobserved_projects: Vec<ProjectId>,
    /// When the oldest of the traffic came, in Unix seconds; null if there is none.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub since: Option<UnixSeconds>,
    /// The time for which certificates were judged, in Unix seconds.
    pub judged_at: UnixSeconds,
    /// How many workloads were judged. A workload is a project, a key and a chain; those of keys and
    /// projects that are deleted already are left out.
    pub workloads: u64,
    /// How many different chains they present.
    pub identities: u64,
    /// How many requests they made.
    pub requests: u64,
    /// Workloads that pass now and would be refused, those with the most requests first.
    pub starts_to_fail: Vec<PreviewedWorkload>,
    /// Workloads that are refused now and would pass, those with the most requests first.
    pub starts_to_pass: Vec<PreviewedWorkload>,
    /// How many workloads pass now and would still pass.
    pub still_passing: u64,
    /// How many workloads are refused now and would still be refused.
    pub still_failing: u64,
    /// How many workloads could not be judged because their chain is not kept.
    pub unjudged: u64,
    /// When a workload was last seen that passes under an anchor, or with a key, that would be gone,
    /// in Unix seconds; null for never.
    #[cfg_attr(feature = "openapi", schema(required))]
    #[serialize_always]
    pub last_used: Option<UnixSeconds>,
    /// Assertions that hold now and would not hold: the change is refused because of them. Absent when
    /// there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks_assertions: Vec<AssertionResult>,
    /// What it would do to streams that are under way; absent when no gateway reports them.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub streams: Option<StreamsEffect>,
    /// What it would do to tokens; absent when no workload identity provider or federation rule changes.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub tokens: Option<TokensEffect>,
    /// Live gateways that would not enforce what the organization then has, since their version does not understand
    /// it. Absent when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_enforced_by: Vec<LackingGateway>,
}

/// What a change of workload identity providers or federation rules would do to tokens, as far as observed traffic says:
/// that shows who called a project without a key and with which certificates, and neither the service account of a token
/// nor exchanges that were refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokensEffect {
    /// How many of the workloads called without a key and get tokens now. With 0, no use of tokens was observed, and
    /// it is unknown whom the change refuses.
    pub workloads: u64,
    /// When one of them was last seen, in Unix seconds; null for never.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_seen: Option<UnixSeconds>,
    /// Certificates seen at the project, with a key or without, that would get tokens of a service account which they do
    /// not get now.
    pub newly_admitted: Vec<NewlyAdmitted>,
}

/// A certificate that would get tokens of a service account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewlyAdmitted {
    /// The service account's project.
    pub project_id: ProjectId,
    /// The service account.
    pub service_account_id: ServiceAccountId,
    /// The provider.
    pub workload_identity_provider_id: WorkloadIdentityProviderId,
    /// The certificate.
    pub leaf: WorkloadLeaf,
}

/// Changes that are made together, or whose effect together is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrustChangesRequest {
    /// The changes, in the order in which they would be made.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 200))]
    pub changes: Vec<TrustChange>,
}

/// The most changes in one request.
pub const MAX_TRUST_CHANGES: usize = 200;

/// A change of what is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TrustChange {
    /// A certificate is uploaded. Those after it refer to it by its place among the uploads.
    UploadCertificate(UploadCertificateRequest),
    /// Everything that is active at a scope is set.
    SetActiveCertificates(ActiveAfterwards),
    /// A certificate's policy is set or removed.
    SetCertificatePolicy {
        /// The certificate.
        certificate_id: CertificateId,
        /// The policy, or null for none.
        #[serde(deserialize_with = "Option::deserialize")]
        #[cfg_attr(feature = "openapi", schema(required))]
        cel_policy: Option<String>,
        /// With `report`, the policy is only reported. One that is enforced removes the reported one.
        #[serde(default)]
        enforcement: Enforcement,
    },
    /// A denial is created.
    CreateDenial(DenialCreateRequest),
    /// A denial is deleted.
    DeleteDenial {
        /// The denial.
        denial_id: DenialId,
    },
    /// A certificate's floor is set or removed.
    SetCertificateFloor {
        /// The certificate.
        certificate_id: CertificateId,
        /// A leaf whose `notBefore` is earlier is refused, in Unix seconds; null for none.
        #[serde(deserialize_with = "Option::deserialize")]
        #[cfg_attr(feature = "openapi", schema(required))]
        refuse_issued_before: Option<UnixSeconds>,
        /// With `report`, the floor is only reported. One that is enforced removes the reported one.
        #[serde(default)]
        enforcement: Enforcement,
    },
    /// A CA's revocation list is added to a certificate, or replaces the CA's earlier one.
    AddCertificateCrl(CertificateCrl),
    /// A certificate's revocation list is deleted.
    DeleteCertificateCrl {
        /// The certificate.
        certificate_id: CertificateId,
        /// The list.
        crl_id: CrlId,
    },
    /// What a missing revocation list means for a certificate is set.
    SetCertificateCrlMissing {
        /// The certificate.
        certificate_id: CertificateId,
        /// `allow` or `deny`; null for what holds by default.
        #[serde(deserialize_with = "Option::deserialize")]
        #[cfg_attr(feature = "openapi", schema(required))]
        crl_missing: Option<CrlMissing>,
    },
    /// A workload identity provider is changed.
    UpdateWorkloadIdentityProvider {
        /// The provider.
        workload_identity_provider_id: WorkloadIdentityProviderId,
        /// What is changed of it.
        provider: WorkloadIdentityProviderUpdateRequest,
    },
    /// A workload identity provider and its rules are deleted.
    DeleteWorkloadIdentityProvider {
        /// The provider.
        workload_identity_provider_id: WorkloadIdentityProviderId,
    },
    /// A federation rule is created.
    CreateFederationRule {
        /// Its provider.
        workload_identity_provider_id: WorkloadIdentityProviderId,
        /// The rule.
        rule: FederationRuleCreateRequest,
    },
    /// A federation rule is changed.
    UpdateFederationRule {
        /// Its provider.
        workload_identity_provider_id: WorkloadIdentityProviderId,
        /// The rule.
        federation_rule_id: FederationRuleId,
        /// What is changed of it.
        rule: FederationRuleUpdateRequest,
    },
    /// A federation rule is deleted.
    DeleteFederationRule {
        /// Its provider.
        workload_identity_provider_id: WorkloadIdentityProviderId,
        /// The rule.
        federation_rule_id: FederationRuleId,
    },
    /// A project is archived; its keys stop working.
    ArchiveProject {
        /// The project.
        project_id: ProjectId,
    },
    /// A project's key is deleted.
    DeleteProjectApiKey {
        /// The project.
        project_id: ProjectId,
        /// The key.
        key_id: ApiKeyId,
    },
    /// A service account and its keys are deleted.
    DeleteServiceAccount {
        /// The project.
        project_id: ProjectId,
        /// The service account.
        service_account_id: ServiceAccountId,
    },
    /// An admin key is deleted.
    DeleteAdminApiKey {
        /// The key.
        key_id: ApiKeyId,
    },
}

impl TrustChange {
    /// Whether it is one of a workload identity provider or a federation rule, which earlier servers cannot preview.
    #[must_use]
    pub const fn is_of_workload_identity(&self) -> bool {
        matches!(
            self,
            Self::UpdateWorkloadIdentityProvider { .. }
                | Self::DeleteWorkloadIdentityProvider { .. }
                | Self::CreateFederationRule { .. }
                | Self::UpdateFederationRule { .. }
                | Self::DeleteFederationRule { .. }
        )
    }
}

/// Everything that is active at a scope after a change.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActiveAfterwards {
    /// The project; without it, the organization.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project_id: Option<ProjectId>,
    /// The distinct certificates.
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub active: Vec<AfterwardsActive>,
    /// What the caller expects to be active before, in any order. If something else is, the change is
    /// refused with `scope_changed`. Without it, nothing is checked.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, max_items = 50))]
    pub expected: Option<Vec<ActiveCertificate>>,
}

/// A certificate that is active after a change.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AfterwardsActive {
    /// A certificate that the server has; exactly one of this and `upload` is given.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub certificate_id: Option<CertificateId>,
    /// A certificate that an earlier of the changes uploads: 0 for the first upload.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub upload: Option<usize>,
    /// Whether it is enforced or only reported.
    #[serde(default)]
    pub enforcement: Enforcement,
}

/// What changes would do. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesPreview {
    /// Always `organization.changes.preview`.
    pub object: ChangesPreviewObject,
    /// What all of them together would do to the traffic.
    #[serde(flatten)]
    pub effect: Effect,
}

/// The object type `organization.changes.preview`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChangesPreviewObject {
    /// `organization.changes.preview`
    #[serde(rename = "organization.changes.preview")]
    ChangesPreview,
}

/// Changes that were made together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesMade {
    /// Always `organization.changes`.
    pub object: ChangesMadeObject,
    /// How many changes there were, those included that changed nothing.
    pub count: usize,
}

/// The object type `organization.changes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ChangesMadeObject {
    /// `organization.changes`
    #[serde(rename = "organization.changes")]
    ChangesMade,
}

/// What would be done, and at which scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TogglePreviewObject {
    /// An activation for the organization.
    #[serde(rename = "organization.certificate.activation.preview")]
    OrganizationActivation,
    /// A deactivation for the organization.
    #[serde(rename = "organization.certificate.deactivation.preview")]
    OrganizationDeactivation,
    /// An activation for a project.
    #[serde(rename = "organization.project.certificate.activation.preview")]
    ProjectActivation,
    /// A deactivation for a project.
    #[serde(rename = "organization.project.certificate.deactivation.preview")]
    ProjectDeactivation,
}

impl From<CertificateToggleObject> for TogglePreviewObject {
    fn from(done: CertificateToggleObject) -> Self {
        match done {
            CertificateToggleObject::OrganizationActivation => Self::OrganizationActivation,
            CertificateToggleObject::OrganizationDeactivation => Self::OrganizationDeactivation,
            CertificateToggleObject::ProjectActivation => Self::ProjectActivation,
            CertificateToggleObject::ProjectDeactivation => Self::ProjectDeactivation,
        }
    }
}

/// A workload that a change would affect.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PreviewedWorkload {
    /// The workload.
    #[serde(flatten)]
    pub identity: WorkloadIdentity,
    /// Why it is refused, before or after the change.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: OrUnknown<ErrorCode>,
    /// The reason in words, for the operator.
    pub reason: String,
    /// When it was last seen, in Unix seconds.
    pub last_seen: UnixSeconds,
    /// How many requests it made.
    pub requests: u64,
    /// How many requests its whole project made, or all admin keys.
    pub of_requests: u64,
    /// How many streams it has under way, as gateways reported last; absent when no gateway reports them.
    #[serde(default, deserialize_with = "not_null")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub streams: Option<u64>,
}
