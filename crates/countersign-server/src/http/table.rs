//! The table: every operation, where it is, who may call it, what it takes and answers. Routing,
//! checks, metrics and the OpenAPI document are made from it, and tests walk it.

use std::sync::LazyLock;

use countersign_types::{
    api_key::{
        AdminApiKey, AdminApiKeyCreateRequest, DeletedAdminApiKey, DeletedProjectApiKey,
        Permission::{AuditRead, Management, MtlsRead, MtlsWrite},
        ProjectApiKey,
    },
    audit::{AuditHead, AuditLog},
    bundle::{Bundle, Gateways},
    certificate::{
        ActiveCertificates, Certificate, DeletedCertificate, ModifyCertificateRequest,
        ScopedCertificate, SetActiveCertificatesRequest, ToggleCertificatesRequest,
        UpdatePolicyRequest, UploadCertificateRequest,
    },
    error::ErrorCode as Code,
    expiry::{DEFAULT_WITHIN_DAYS, ExpiringList, MAX_WITHIN_DAYS},
    extension::Extensions,
    observation::{MAX_BATCH_BYTES, ObservationBatch, ObservationReceipt},
    page::Order,
    preview::ToggleAnswer,
    project::{
        DeletedServiceAccount, Project, ProjectCreateRequest, ProjectUpdateRequest, ServiceAccount,
        ServiceAccountApiKey, ServiceAccountApiKeyCreateRequest, ServiceAccountCreateRequest,
        ServiceAccountCreated, ServiceAccountUpdateRequest,
    },
    rotation::{DEFAULT_SEEN_WITHIN, EndRotationRequest, Rotation, StartRotationRequest},
    usage::CertificateUse,
    webhook::{DeletedWebhook, Webhook, WebhookCreateRequest, WebhookDelivery},
};
use http::Method;
use serde_json::json;

use super::{
    active, admin_api_keys, audit_logs, certificates, expiring, gateways, health, observations,
    operation::{Needs, Operation, Parameter},
    parameters::{after, any_of, flag, include, include_usage, limit, page},
    project_api_keys, projects, rotations, service_accounts, webhooks,
};

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let mut all = certificates();
    all.extend(project_certificates());
    all.extend(rotations());
    all.extend(projects());
    all.extend(service_accounts());
    all.extend(project_api_keys());
    all.extend(admin_api_keys());
    all.extend(audit_logs());
    all.extend(webhooks());
    all.push(expiring());
    all.extend(countersign());
    all
});

/// Every operation there is.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const DELETE: Method = Method::DELETE;

/// What a toggle can be refused for.
const DEACTIVATE: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::UnsupportedParameter,
];
const ACTIVATE: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
];
const ACTIVATE_IN_PROJECT: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::ProjectArchived,
];

/// What setting a scope can be refused for.
const SET_ACTIVE: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::ScopeChanged,
];
const SET_ACTIVE_IN_PROJECT: &[Code] = &[
    Code::MissingRequiredParameter,
    Code::NotFound,
    Code::ExpiredCertificate,
    Code::ScopeChanged,
    Code::ProjectArchived,
];

#[rustfmt::skip]
fn certificates() -> Vec<Operation> {
    const TAG: &str = "Certificates";
    const ALL: &str = "/v1/organization/certificates";
    const ONE: &str = "/v1/organization/certificates/{certificate_id}";
    const POLICY: &str = "/v1/organization/certificates/{certificate_id}/policy";
    const USAGE: &str = "/v1/organization/certificates/{certificate_id}/usage";
    const ON: &str = "/v1/organization/certificates/activate";
    const OFF: &str = "/v1/organization/certificates/deactivate";
    const ACTIVE: &str = "/v1/organization/certificates/active";
    vec![
        Operation::admin(GET, ALL, "listOrganizationCertificates", MtlsRead, certificates::list)
            .summary(TAG, "List the organization's certificates.")
            .query(page(Order::Desc)).query([include_usage()]).lists::<ScopedCertificate>(),
        Operation::admin(POST, ALL, "uploadCertificate", MtlsWrite, certificates::upload)
            .summary(TAG, "Upload a certificate. This does not activate it.")
            .takes::<UploadCertificateRequest>().answers::<Certificate>()
            .refuses(certificates::UPLOAD_CODES),
        Operation::admin(POST, ON, "activateOrganizationCertificates", MtlsWrite, certificates::activate)
            .summary(TAG, "Activate certificates for the organization, all or none.")
            .takes::<ToggleCertificatesRequest>().answers::<ToggleAnswer>().refuses(ACTIVATE),
        Operation::admin(POST, OFF, "deactivateOrganizationCertificates", MtlsWrite, certificates::deactivate)
            .summary(TAG, "Deactivate certificates for the organization, all or none.")
            .takes::<ToggleCertificatesRequest>().answers::<ToggleAnswer>().refuses(DEACTIVATE),
        Operation::admin(GET, ONE, "getCertificate", MtlsRead, certificates::retrieve)
            .summary(TAG, "Get a certificate, active or not.")
            .query([include()]).answers::<Certificate>(),
        Operation::admin(POST, ONE, "modifyCertificate", MtlsWrite, certificates::update)
            .summary(TAG, "Rename a certificate. Nothing else of it can be modified.")
            .takes::<ModifyCertificateRequest>().answers::<Certificate>()
            .refuses(&[Code::UnsupportedParameter]),
        Operation::admin(DELETE, ONE, "deleteCertificate", MtlsWrite, certificates::delete)
            .summary(TAG, "Delete a certificate that is active nowhere.")
            .answers::<DeletedCertificate>().refuses(&[Code::CertificateInUse]),
        Operation::admin(GET, USAGE, "listCertificateUses", MtlsRead, certificates::list_uses)
            .summary(TAG, "List the leaves that a certificate let through, and who called with them (an extension).")
            .query(page(Order::Desc)).lists::<CertificateUse>(),
        Operation::admin(POST, POLICY, "updateCertificatePolicy", MtlsWrite, certificates::update_policy)
            .summary(TAG, "Set or, with null, remove a certificate's CEL policy (an extension).")
            .takes::<UpdatePolicyRequest>().answers::<Certificate>()
            .refuses(&[Code::MtlsCelPolicyInvalid, Code::MissingRequiredParameter]),
        Operation::admin(POST, ACTIVE, "setActiveOrganizationCertificates", MtlsWrite, active::set)
            .summary(TAG, "Set everything that is active for the organization, in one step (an extension).")
            .takes::<SetActiveCertificatesRequest>().answers::<ActiveCertificates>().refuses(SET_ACTIVE),
    ]
}

#[rustfmt::skip]
fn project_certificates() -> Vec<Operation> {
    const TAG: &str = "Certificates";
    const ALL: &str = "/v1/organization/projects/{project_id}/certificates";
    const ON: &str = "/v1/organization/projects/{project_id}/certificates/activate";
    const OFF: &str = "/v1/organization/projects/{project_id}/certificates/deactivate";
    const ACTIVE: &str = "/v1/organization/projects/{project_id}/certificates/active";
    vec![
        Operation::admin(GET, ALL, "listProjectCertificates", MtlsRead, certificates::list_in_project)
            .summary(TAG, "List the organization's certificates, as they are for a project.")
            .query(page(Order::Desc)).query([include_usage()]).lists::<ScopedCertificate>(),
        Operation::admin(POST, ON, "activateProjectCertificates", MtlsWrite, certificates::activate_in_project)
            .summary(TAG, "Activate certificates for a project, all or none.")
            .takes::<ToggleCertificatesRequest>().answers::<ToggleAnswer>()
            .refuses(ACTIVATE_IN_PROJECT),
        Operation::admin(POST, OFF, "deactivateProjectCertificates", MtlsWrite, certificates::deactivate_in_project)
            .summary(TAG, "Deactivate certificates for a project, all or none.")
            .takes::<ToggleCertificatesRequest>().answers::<ToggleAnswer>().refuses(DEACTIVATE),
        Operation::admin(POST, ACTIVE, "setActiveProjectCertificates", MtlsWrite, active::set_in_project)
            .summary(TAG, "Set everything that is active for a project, in one step (an extension).")
            .takes::<SetActiveCertificatesRequest>().answers::<ActiveCertificates>()
            .refuses(SET_ACTIVE_IN_PROJECT),
    ]
}

#[rustfmt::skip]
fn rotations() -> Vec<Operation> {
    const TAG: &str = "Rotations";
    const ALL: &str = "/v1/organization/rotations";
    const ONE: &str = "/v1/organization/rotations/{rotation_id}";
    const FINISH: &str = "/v1/organization/rotations/{rotation_id}/finish";
    const ABORT: &str = "/v1/organization/rotations/{rotation_id}/abort";
    const ENDS: &[Code] = &[Code::RotationEnded, Code::RotationNotReady];
    let within = Parameter {
        name: rotations::SEEN_WITHIN,
        description: "Workloads that were seen within so many seconds count.",
        schema: json!({ "type": "integer", "minimum": 1, "default": DEFAULT_SEEN_WITHIN }),
    };
    vec![
        Operation::admin(GET, ALL, "listRotations", MtlsRead, rotations::list)
            .summary(TAG, "List the rotations of trust anchors (an extension).")
            .query(page(Order::Desc)).lists::<Rotation>(),
        Operation::admin(POST, ALL, "startRotation", MtlsWrite, rotations::start)
            .summary(TAG, "Start a rotation: activate the new anchor beside the old one.")
            .takes::<StartRotationRequest>().answers::<Rotation>()
            .refuses(&[
                Code::MissingRequiredParameter, Code::NotFound, Code::ExpiredCertificate,
                Code::ProjectArchived, Code::RotationInProgress, Code::RotationNotReady,
            ]),
        Operation::admin(GET, ONE, "getRotation", MtlsRead, rotations::retrieve)
            .summary(TAG, "Get a rotation, with who has moved and what finishing it would do.")
            .query([within]).answers::<Rotation>(),
        Operation::admin(POST, FINISH, "finishRotation", MtlsWrite, rotations::finish)
            .summary(TAG, "Finish a rotation: deactivate the old anchor, if nobody seen lately is refused for it.")
            .may_take::<EndRotationRequest>().answers::<Rotation>().refuses(ENDS),
        Operation::admin(POST, ABORT, "abortRotation", MtlsWrite, rotations::abort)
            .summary(TAG, "Abort a rotation: take back what it activated, if nobody seen lately is refused for it.")
            .may_take::<EndRotationRequest>().answers::<Rotation>().refuses(ENDS),
    ]
}

#[rustfmt::skip]
fn projects() -> Vec<Operation> {
    const TAG: &str = "Projects";
    const ALL: &str = "/v1/organization/projects";
    const ONE: &str = "/v1/organization/projects/{project_id}";
    const ARCHIVE: &str = "/v1/organization/projects/{project_id}/archive";
    vec![
        Operation::admin(GET, ALL, "list-projects", Management, projects::list)
            .summary(TAG, "List the organization's projects.")
            .query(page(Order::Desc))
            .query([flag("include_archived", "Whether archived projects are listed too.")])
            .lists::<Project>(),
        Operation::admin(POST, ALL, "create-project", Management, projects::create)
            .summary(TAG, "Create a project.")
            .takes::<ProjectCreateRequest>().answers::<Project>()
            .refuses(&[Code::MissingRequiredParameter]),
        Operation::admin(GET, ONE, "retrieve-project", Management, projects::retrieve)
            .summary(TAG, "Get a project.").answers::<Project>(),
        Operation::admin(POST, ONE, "modify-project", Management, projects::update)
            .summary(TAG, "Modify a project.")
            .takes::<ProjectUpdateRequest>().answers::<Project>()
            .refuses(&[Code::UnsupportedParameter]),
        Operation::admin(POST, ARCHIVE, "archive-project", Management, projects::archive)
            .summary(TAG, "Archive a project, for good.").answers::<Project>(),
    ]
}

#[rustfmt::skip]
fn service_accounts() -> Vec<Operation> {
    const TAG: &str = "Service accounts";
    const ALL: &str = "/v1/organization/projects/{project_id}/service_accounts";
    const ONE: &str = "/v1/organization/projects/{project_id}/service_accounts/{service_account_id}";
    const KEYS: &str = "/v1/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys";
    vec![
        Operation::admin(GET, ALL, "list-project-service-accounts", Management, service_accounts::list)
            .summary(TAG, "List a project's service accounts.")
            .query(page(Order::Desc)).lists::<ServiceAccount>(),
        Operation::admin(POST, ALL, "create-project-service-account", Management, service_accounts::create)
            .summary(TAG, "Create a service account and its first key, which is shown this once.")
            .takes::<ServiceAccountCreateRequest>().answers::<ServiceAccountCreated>()
            .refuses(&[Code::MissingRequiredParameter, Code::ProjectArchived]),
        Operation::admin(GET, ONE, "retrieve-project-service-account", Management, service_accounts::retrieve)
            .summary(TAG, "Get a service account.").answers::<ServiceAccount>(),
        Operation::admin(POST, ONE, "update-project-service-account", Management, service_accounts::update)
            .summary(TAG, "Modify a service account.")
            .takes::<ServiceAccountUpdateRequest>().answers::<ServiceAccount>(),
        Operation::admin(DELETE, ONE, "delete-project-service-account", Management, service_accounts::delete)
            .summary(TAG, "Delete a service account and its keys.")
            .answers::<DeletedServiceAccount>(),
        Operation::admin(POST, KEYS, "CreateanAPIkeyforaserviceaccount", Management, service_accounts::create_api_key)
            .summary(TAG, "Create another key for a service account; it is shown this once.")
            .may_take::<ServiceAccountApiKeyCreateRequest>().answers::<ServiceAccountApiKey>()
            .refuses(&[Code::ProjectArchived]),
    ]
}

#[rustfmt::skip]
fn project_api_keys() -> Vec<Operation> {
    const TAG: &str = "Project API keys";
    const ALL: &str = "/v1/organization/projects/{project_id}/api_keys";
    const ONE: &str = "/v1/organization/projects/{project_id}/api_keys/{api_key_id}";
    let access = Parameter {
        name: "owner_project_access",
        description: "Whether the owner has access to the project; every owner has, unless it is archived.",
        schema: json!({ "type": "string", "enum": ["active", "inactive", "any"] }),
    };
    vec![
        Operation::admin(GET, ALL, "list-project-api-keys", Management, project_api_keys::list)
            .summary(TAG, "List a project's keys.")
            .query(page(Order::Desc)).query([access]).lists::<ProjectApiKey>(),
        Operation::admin(GET, ONE, "retrieve-project-api-key", Management, project_api_keys::retrieve)
            .summary(TAG, "Get a project's key, without its value.").answers::<ProjectApiKey>(),
        Operation::admin(DELETE, ONE, "delete-project-api-key", Management, project_api_keys::delete)
            .summary(TAG, "Delete a project's key.").answers::<DeletedProjectApiKey>(),
    ]
}

#[rustfmt::skip]
fn admin_api_keys() -> Vec<Operation> {
    const TAG: &str = "Admin API keys";
    const ALL: &str = "/v1/organization/admin_api_keys";
    const ONE: &str = "/v1/organization/admin_api_keys/{key_id}";
    vec![
        Operation::admin(GET, ALL, "admin-api-keys-list", Management, admin_api_keys::list)
            .summary(TAG, "List the organization's admin keys.")
            .query(page(Order::Asc)).lists::<AdminApiKey>(),
        Operation::admin(POST, ALL, "admin-api-keys-create", Management, admin_api_keys::create)
            .summary(TAG, "Create an admin key; it is shown this once.")
            .takes::<AdminApiKeyCreateRequest>().answers::<AdminApiKey>()
            .refuses(&[Code::MissingRequiredParameter]),
        Operation::admin(GET, ONE, "admin-api-keys-get", Management, admin_api_keys::retrieve)
            .summary(TAG, "Get an admin key, without its value.").answers::<AdminApiKey>(),
        Operation::admin(DELETE, ONE, "admin-api-keys-delete", Management, admin_api_keys::delete)
            .summary(TAG, "Delete an admin key.").answers::<DeletedAdminApiKey>(),
    ]
}

fn audit_logs() -> Vec<Operation> {
    let moment = json!({ "type": "integer", "minimum": 0 });
    let effective_at = Parameter {
        name: "effective_at",
        description: "Bounds on `effective_at`, in Unix seconds: `effective_at[gt]` and so on.",
        schema: json!({
            "type": "object",
            "properties": { "gt": moment, "gte": moment, "lt": moment, "lte": moment },
        }),
    };
    let before = Parameter {
        name: "before",
        description: "The id of the event that the page precedes: `first_id` of the page after.",
        schema: json!({ "type": "string" }),
    };
    vec![
        Operation::admin(
            GET,
            "/v1/organization/audit_logs",
            "list-audit-logs",
            AuditRead,
            audit_logs::list,
        )
        .summary(
            "Audit logs",
            "List what was done in the organization, newest first.",
        )
        .query([effective_at, limit(), after(), before])
        .query([
            any_of("project_ids[]", "Only events about one of these projects."),
            any_of("event_types[]", "Only events of one of these types."),
            any_of("actor_ids[]", "Only events by one of these keys."),
            any_of(
                "actor_emails[]",
                "Only events by one of these people; here there are none.",
            ),
            any_of("resource_ids[]", "Only events about one of these things."),
            flag(
                "tenant_only",
                "Only tenant-scoped events; here there are none, so only `false`.",
            ),
        ])
        .lists::<AuditLog>(),
        Operation::admin(
            GET,
            "/v1/organization/audit_logs/head",
            "getAuditLogHead",
            AuditRead,
            audit_logs::retrieve_head,
        )
        .summary(
            "Audit logs",
            "Get the number and the hash of the newest event (an extension).",
        )
        .answers::<AuditHead>(),
    ]
}

fn expiring() -> Operation {
    let within = Parameter {
        name: "within_days",
        description: "How many days to look ahead.",
        schema: json!({
            "type": "integer", "minimum": 0,
            "maximum": MAX_WITHIN_DAYS, "default": DEFAULT_WITHIN_DAYS,
        }),
    };
    let path = "/v1/organization/expiring";
    Operation::admin(GET, path, "listExpiring", MtlsRead, expiring::list)
        .summary(
            "Certificates",
            "List active anchors and observed leaves that expire soon (an extension).",
        )
        .query([within])
        .answers::<ExpiringList>()
}

#[rustfmt::skip]
fn webhooks() -> Vec<Operation> {
    const TAG: &str = "Webhooks";
    const ALL: &str = "/v1/organization/webhooks";
    const ONE: &str = "/v1/organization/webhooks/{webhook_id}";
    const TEST: &str = "/v1/organization/webhooks/{webhook_id}/test";
    const DELIVERIES: &str = "/v1/organization/webhooks/{webhook_id}/deliveries";
    vec![
        Operation::admin(GET, ALL, "listWebhooks", Management, webhooks::list)
            .summary(TAG, "List the organization's webhooks.")
            .query(page(Order::Desc)).lists::<Webhook>(),
        Operation::admin(POST, ALL, "createWebhook", Management, webhooks::create)
            .summary(TAG, "Create a webhook, which every event is sent to; its secret is shown this once.")
            .takes::<WebhookCreateRequest>().answers::<Webhook>().refuses(webhooks::CREATE_CODES),
        Operation::admin(GET, ONE, "getWebhook", Management, webhooks::retrieve)
            .summary(TAG, "Get a webhook, without its secret.").answers::<Webhook>(),
        Operation::admin(DELETE, ONE, "deleteWebhook", Management, webhooks::delete)
            .summary(TAG, "Delete a webhook, and what is on its way to it.")
            .answers::<DeletedWebhook>(),
        Operation::admin(POST, TEST, "testWebhook", Management, webhooks::test)
            .summary(TAG, "Send a webhook the event `webhook.tested`.").answers::<Webhook>(),
        Operation::admin(GET, DELIVERIES, "listWebhookDeliveries", Management, webhooks::list_deliveries)
            .summary(TAG, "List what was sent to a webhook, or is to be, of the last 30 days.")
            .query(page(Order::Desc)).lists::<WebhookDelivery>(),
    ]
}

#[rustfmt::skip]
fn countersign() -> Vec<Operation> {
    const TAG: &str = "Countersign";
    let revision = Parameter {
        name: "after",
        description: "The revision that the gateway has; 0 for none.",
        schema: json!({ "type": "integer", "minimum": 0, "default": 0 }),
    };
    let wait = Parameter {
        name: "wait",
        description: "How many seconds to hold the request open until there is a change.",
        schema: json!({
            "type": "integer", "minimum": 0,
            "maximum": gateways::MAX_WAIT_SECONDS, "default": gateways::DEFAULT_WAIT_SECONDS,
        }),
    };
    let gateway = Parameter {
        name: "gateway",
        description: "The id that the gateway drew at its start: it is then listed as enforcing `after`.",
        schema: json!({ "type": "string", "pattern": "^gw_[A-Za-z0-9_-]{1,125}$" }),
    };
    let name = Parameter {
        name: "name",
        description: "What the gateway is called in the list.",
        schema: json!({ "type": "string", "minLength": 1, "maxLength": 256, "default": "gateway" }),
    };
    vec![
        Operation::open(GET, "/v1/countersign/bundle", "getBundle", gateways::bundle)
            .permit(Needs::Gateway).waits()
            .summary(TAG, "Get the organizations that changed after a revision, each whole.")
            .query([revision, wait, gateway, name]).answers::<Bundle>(),
        Operation::open(GET, "/v1/countersign/gateways", "listGateways", gateways::list)
            .permit(Needs::AdminOrGateway(MtlsRead))
            .summary(TAG, "List the gateways that are alive and the revisions that they enforce.")
            .answers::<Gateways>(),
        Operation::open(GET, "/v1/countersign/extensions", "listExtensions", health::extensions)
            .summary(TAG, "List what this server can do beyond the reference.")
            .answers::<Extensions>(),
        Operation::open(POST, "/v1/countersign/observations", "recordObservations", observations::record)
            .permit(Needs::Gateway)
            .summary(TAG, "Keep what a gateway saw. A batch is applied whole, and once.")
            .takes::<ObservationBatch>().up_to(MAX_BATCH_BYTES).answers::<ObservationReceipt>()
            .refuses(&[Code::MissingRequiredParameter]),
        Operation::open(GET, "/openapi.json", "getOpenapiDocument", health::document)
            .summary(TAG, "This document."),
        Operation::open(GET, "/healthz", "getHealth", health::live)
            .summary(TAG, "Whether the process lives."),
        Operation::open(GET, "/readyz", "getReadiness", health::ready)
            .summary(TAG, "Whether the process can answer: it can read the store and is not ending.")
            .refuses(&[Code::StorageUnavailable, Code::Overloaded]),
    ]
}
