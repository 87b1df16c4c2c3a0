//! The audit log: what was done, by which key, to what.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use serde_with::skip_serializing_none;

use crate::{
    UnixSeconds,
    certificate::Enforcement,
    id::{
        ApiKeyId, AssertionId, AuditLogId, CertificateId, OrganizationId, ProjectId, RotationId,
        ServiceAccountId, WebhookId,
    },
    page::Listed,
    rotation::RotationStatus,
};
pub use crate::{
    access_taken::{AccessTaken, CrlChange, DenialChange},
    audit_position::{AuditChain, AuditCommit, AuditHead, AuditHeadObject},
    audit_project::AuditProject,
    federation_event::{FederationEvent, ProviderChange, RuleChange},
    organization_change::{AssertionChange, ReceiptKeyChange, TokenKeyChange, WebhookChange},
};

/// An audit event as the API shows it. Its details are in the property named after its type.
#[skip_serializing_none]
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditLog {
    /// Its id, `audit_log-…`.
    pub id: AuditLogId,
    /// What happened, for example `certificate.deleted`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When, in Unix seconds.
    pub effective_at: UnixSeconds,
    /// The project that it was about, for events of one project.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub project: Option<AuditLogProject>,
    /// Who did it.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub actor: Option<AuditActor>,
    /// Its position in the hash chain of the organization's events (an extension).
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub chain: Option<AuditChain>,
    /// The change that it belongs to (an extension); absent from events of versions before receipts.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub commit: Option<AuditCommit>,
    /// The details, under the event's type.
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

impl std::fmt::Debug for AuditLog {
    /// Without the details: those of `certificate.deleted` contain the PEM, which must not reach a
    /// log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog")
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("effective_at", &self.effective_at)
            .finish_non_exhaustive()
    }
}

impl Listed for AuditLog {
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

/// An audit event exactly as it was sent, with properties that a newer server adds: its hash covers
/// all of them.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AuditDocument(pub Map<String, Value>);

impl Listed for AuditDocument {
    fn id(&self) -> &str {
        self.0.get("id").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The project that an event was about.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AuditProject))]
pub struct AuditLogProject {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub id: Option<ProjectId>,
    /// Its name at the time of the event.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub name: Option<String>,
}

impl From<AuditProject> for AuditLogProject {
    fn from(project: AuditProject) -> Self {
        Self {
            id: Some(project.id),
            name: project.name,
        }
    }
}

/// Who did it: a key, or the operator on the server's machine (a session).
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditActor {
    /// `api_key`, or `session` for the operator.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub kind: Option<String>,
    /// The key.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub api_key: Option<AuditActorApiKey>,
    /// The session, on servers that have them; the operator's session has the user `operator`.
    #[cfg_attr(feature = "openapi", schema(nullable = false, value_type = Object))]
    pub session: Option<Value>,
}

/// The key that did it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditActorApiKey {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(required, nullable = false))]
    pub id: Option<ApiKeyId>,
}

/// Who makes a change: the source of `AuditLog::actor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A key of the organization.
    ApiKey(ApiKeyId),
    /// A gateway, by the key that it asks the control plane with.
    Gateway(ApiKeyId),
    /// The operator, on the server's machine.
    Operator,
}

impl Actor {
    /// The actor as an event shows it.
    #[must_use]
    pub fn to_audit(&self) -> AuditActor {
        match self {
            Self::ApiKey(id) | Self::Gateway(id) => AuditActor {
                kind: Some("api_key".to_owned()),
                api_key: Some(AuditActorApiKey {
                    id: Some(id.clone()),
                }),
                session: None,
            },
            Self::Operator => AuditActor {
                kind: Some("session".to_owned()),
                api_key: None,
                session: Some(json!({ "user": { "id": "operator" } })),
            },
        }
    }

    /// The id that `actor_ids[]` matches.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::ApiKey(id) | Self::Gateway(id) => id.as_str(),
            Self::Operator => "operator",
        }
    }
}

/// A certificate as an event names it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCertificate {
    /// Its id.
    pub id: CertificateId,
    /// Its name, when it has one.
    pub name: Option<String>,
}

/// A step of a rotation as an event names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRotation {
    /// Its id.
    pub id: RotationId,
    /// Its new status.
    pub status: RotationStatus,
    /// The old anchor.
    pub old: AuditCertificate,
    /// The new anchor.
    pub new: AuditCertificate,
}

impl AuditRotation {
    /// The new certificate, as a `certificate.updated` names it, and the rotation.
    fn details(&self) -> Value {
        let mut details = json!(self.new);
        if let Some(map) = details.as_object_mut() {
            let rotation = json!({
                "id": self.id,
                "status": self.status,
                "old_certificate_id": self.old.id,
                "new_certificate_id": self.new.id,
            });
            map.insert("rotation".to_owned(), rotation);
        }
        details
    }
}

/// What happened. Every write is committed together with at least one of these, or not at all.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the event type of that name")]
pub enum AuditEvent {
    CertificateCreated(AuditCertificate),
    CertificateUpdated(AuditCertificate),
    /// A `certificate.updated` of the new anchor, with the rotation: the API has no type for it.
    CertificateRotated(AuditRotation),
    CertificateDeleted {
        certificate: AuditCertificate,
        pem: String,
    },
    /// `project` is the scope; `None` is the organization.
    CertificatesActivated {
        project: Option<AuditProject>,
        certificates: Vec<AuditCertificate>,
        enforcement: Enforcement,
    },
    /// `project` is the scope; `None` is the organization.
    CertificatesDeactivated {
        project: Option<AuditProject>,
        certificates: Vec<AuditCertificate>,
    },
    ProjectCreated(AuditProject),
    /// `title` is the new name, if it changed.
    ProjectUpdated {
        project: AuditProject,
        title: Option<String>,
    },
    ProjectArchived(AuditProject),
    ServiceAccountCreated {
        project: AuditProject,
        id: ServiceAccountId,
        role: String,
    },
    ServiceAccountUpdated {
        project: AuditProject,
        id: ServiceAccountId,
        role: Option<String>,
    },
    ServiceAccountDeleted {
        project: AuditProject,
        id: ServiceAccountId,
    },
    /// `project` is `None` for an admin key.
    ApiKeyCreated {
        project: Option<AuditProject>,
        id: ApiKeyId,
        scopes: Vec<String>,
    },
    /// `project` is `None` for an admin key.
    ApiKeyDeleted {
        project: Option<AuditProject>,
        id: ApiKeyId,
    },
    /// A webhook of the organization, as an `organization.updated`.
    WebhookChanged {
        organization: OrganizationId,
        id: WebhookId,
        change: WebhookChange,
    },
    /// An assertion of the organization, as an `organization.updated` too.
    AssertionChanged {
        organization: OrganizationId,
        id: AssertionId,
        change: AssertionChange,
    },
    /// A denial, or the floor of a certificate.
    AccessTaken(AccessTaken),
    /// A token key of the organization, as an `organization.updated` too.
    TokenKeyChanged {
        organization: OrganizationId,
        change: TokenKeyChange,
    },
    /// A key of a gateway for receipts, as an `organization.updated` too.
    ReceiptKeyChanged {
        organization: OrganizationId,
        change: ReceiptKeyChange,
    },
    /// A workload identity provider or a federation rule.
    Federation(FederationEvent),
}

impl std::fmt::Debug for AuditEvent {
    /// Only the type and the ids: the PEM of a deleted certificate must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.event_type(), self.resource_ids())
    }
}

impl AuditEvent {
    /// The name of the event's type in the API.
    #[must_use]
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::CertificateCreated(_) => "certificate.created",
            Self::CertificateUpdated(_) | Self::CertificateRotated(_) => "certificate.updated",
            Self::AccessTaken(event) => event.event_type(),
            Self::CertificateDeleted { .. } => "certificate.deleted",
            Self::CertificatesActivated { .. } => "certificates.activated",
            Self::CertificatesDeactivated { .. } => "certificates.deactivated",
            Self::ProjectCreated(_) => "project.created",
            Self::ProjectUpdated { .. } => "project.updated",
            Self::ProjectArchived(_) => "project.archived",
            Self::ServiceAccountCreated { .. } => "service_account.created",
            Self::ServiceAccountUpdated { .. } => "service_account.updated",
            Self::ServiceAccountDeleted { .. } => "service_account.deleted",
            Self::ApiKeyCreated { .. } => "api_key.created",
            Self::ApiKeyDeleted { .. } => "api_key.deleted",
            Self::WebhookChanged { .. }
            | Self::AssertionChanged { .. }
            | Self::TokenKeyChanged { .. }
            | Self::ReceiptKeyChanged { .. } => "organization.updated",
            Self::Federation(event) => event.event_type(),
        }
    }

    /// The project that the event is about, if it is about one.
    #[must_use]
    pub const fn project(&self) -> Option<&AuditProject> {
        match self {
            Self::CertificatesActivated { project, .. }
            | Self::CertificatesDeactivated { project, .. }
            | Self::ApiKeyCreated { project, .. }
            | Self::ApiKeyDeleted { project, .. } => project.as_ref(),
            Self::ProjectCreated(project)
            | Self::ProjectUpdated { project, .. }
            | Self::ProjectArchived(project)
            | Self::ServiceAccountCreated { project, .. }
            | Self::ServiceAccountUpdated { project, .. }
            | Self::ServiceAccountDeleted { project, .. } => Some(project),
            Self::CertificateCreated(_)
            | Self::CertificateUpdated(_)
            | Self::CertificateRotated(_)
            | Self::CertificateDeleted { .. }
            | Self::WebhookChanged { .. }
            | Self::AssertionChanged { .. }
            | Self::AccessTaken(_)
            | Self::TokenKeyChanged { .. }
            | Self::ReceiptKeyChanged { .. } => None,
            Self::Federation(event) => event.project(),
        }
    }

    /// The ids that `resource_ids[]` matches.
    #[must_use]
    pub fn resource_ids(&self) -> Vec<&str> {
        match self {
            Self::CertificateCreated(certificate)
            | Self::CertificateUpdated(certificate)
            | Self::CertificateDeleted { certificate, .. } => vec![certificate.id.as_str()],
            Self::CertificateRotated(AuditRotation { id, old, new, .. }) => {
                vec![new.id.as_str(), old.id.as_str(), id.as_str()]
            }
            Self::CertificatesActivated { certificates, .. }
            | Self::CertificatesDeactivated { certificates, .. } => {
                certificates.iter().map(|each| each.id.as_str()).collect()
            }
            Self::ProjectCreated(project)
            | Self::ProjectUpdated { project, .. }
            | Self::ProjectArchived(project) => vec![project.id.as_str()],
            Self::ServiceAccountCreated { id, .. }
            | Self::ServiceAccountUpdated { id, .. }
            | Self::ServiceAccountDeleted { id, .. } => vec![id.as_str()],
            Self::ApiKeyCreated { id, .. } | Self::ApiKeyDeleted { id, .. } => vec![id.as_str()],
            Self::WebhookChanged { id, .. } => vec![id.as_str()],
            Self::AssertionChanged { id, .. } => vec![id.as_str()],
            Self::AccessTaken(event) => vec![event.resource_id()],
            Self::TokenKeyChanged { change, .. } => vec![change.id().as_str()],
            Self::ReceiptKeyChanged { change, .. } => change.resource_ids().to_vec(),
            Self::Federation(event) => event.resource_ids(),
        }
    }

    /// The details: the value of the property named after the event's type.
    #[must_use]
    pub fn details(&self) -> Value {
        match self {
            Self::CertificateCreated(certificate) | Self::CertificateUpdated(certificate) => {
                json!(certificate)
            }
            Self::CertificateRotated(rotation) => rotation.details(),
            Self::CertificateDeleted { certificate, pem } => {
                let mut details = json!(certificate);
                if let Some(map) = details.as_object_mut() {
                    map.insert("certificate".to_owned(), json!(pem));
                }
                details
            }
            Self::CertificatesActivated {
                certificates,
                enforcement,
                ..
            } => activated(certificates, *enforcement),
            Self::CertificatesDeactivated { certificates, .. } => {
                json!({ "certificates": certificates })
            }
            Self::ProjectCreated(project) => {
                json!({ "id": project.id, "data": title_and_name(project.name.as_deref()) })
            }
            Self::ProjectUpdated { project, title } => {
                let changes = title
                    .as_ref()
                    .map_or(json!({}), |title| json!({ "title": title }));
                json!({ "id": project.id, "changes_requested": changes })
            }
            Self::ProjectArchived(project) => json!({ "id": project.id }),
            Self::ServiceAccountCreated { id, role, .. } => {
                json!({ "id": id, "data": { "role": role } })
            }
            Self::ServiceAccountUpdated { id, role, .. } => {
                let changes = role
                    .as_ref()
                    .map_or(json!({}), |role| json!({ "role": role }));
                json!({ "id": id, "changes_requested": changes })
            }
            Self::ServiceAccountDeleted { id, .. } => json!({ "id": id }),
            Self::ApiKeyCreated { id, scopes, .. } => {
                json!({ "id": id, "data": { "scopes": scopes } })
            }
            Self::ApiKeyDeleted { id, .. } => json!({ "id": id }),
            Self::WebhookChanged { .. }
            | Self::AssertionChanged { .. }
            | Self::TokenKeyChanged { .. }
            | Self::ReceiptKeyChanged { .. } => self.organization_updated(),
            Self::AccessTaken(event) => event.details(),
            Self::Federation(event) => event.details(),
        }
    }
}

impl AuditEvent {
    /// The details of a change that the API has no type for.
    fn organization_updated(&self) -> Value {
        let (organization, changes) = match self {
            Self::WebhookChanged {
                organization,
                id,
                change,
            } => (organization, change.details(id)),
            Self::AssertionChanged {
                organization,
                id,
                change,
            } => (organization, change.details(id)),
            Self::TokenKeyChanged {
                organization,
                change,
            } => (organization, change.details()),
            Self::ReceiptKeyChanged {
                organization,
                change,
            } => (organization, change.details()),
            _ => return Value::Null,
        };
        json!({ "id": organization, "changes_requested": changes })
    }
}

/// Enforcement is what is meant unless something else is said.
fn activated(certificates: &[AuditCertificate], enforcement: Enforcement) -> Value {
    match enforcement {
        Enforcement::Enforce => json!({ "certificates": certificates }),
        Enforcement::Report => {
            json!({ "certificates": certificates, "enforcement": enforcement })
        }
    }
}

fn title_and_name(name: Option<&str>) -> Value {
    name.map_or(json!({}), |name| json!({ "name": name, "title": name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pem_of_a_deleted_certificate_is_not_shown() {
        let event: AuditLog = serde_json::from_value(json!({
            "id": "audit_log-a",
            "type": "certificate.deleted",
            "effective_at": 3,
            "certificate.deleted": { "id": "cert_a", "certificate": "-----BEGIN" },
        }))
        .unwrap();
        assert_eq!(event.details["certificate.deleted"]["id"], "cert_a");
        let shown = format!("{event:?}");
        assert!(
            shown.contains("audit_log-a") && !shown.contains("BEGIN"),
            "{shown}"
        );
    }
}
