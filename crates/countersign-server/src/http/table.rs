//! The table: every operation, where it is, who may call it, and its handler, whose signature says
//! what it takes and answers. Routing, checks, metrics and the OpenAPI document are made from it,
//! and tests walk it.

use std::sync::LazyLock;

use countersign_types::{
    api_key::Permission::{AuditRead, Management, MtlsRead, MtlsWrite},
    error::ErrorCode as Code,
};

use super::{
    active, admin_api_keys, assertions, audit_logs, certificates, crls, denials, expiring,
    federation_rules, gateways, health, observations,
    operation::{Operation, delete, get, post},
    project_api_keys, projects, receipt_keys, refusals, rotations, service_accounts, toggles,
    token_exchange, token_keys, trust_changes,
    trust_codes::{
        ACTIVATE, ACTIVATE_IN_PROJECT, DEACTIVATE, SET_ACTIVE, SET_ACTIVE_IN_PROJECT, UPLOAD,
    },
    webhooks, workload_identity_providers,
};

#[rustfmt::skip]
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let of_nouns = [
        certificates(), crls(), project_certificates(), rotations(), projects(), service_accounts(), project_api_keys(),
        admin_api_keys(), audit_logs(), webhooks(), assertions(), denials(), workload_identity_providers(),
        federation_rules(), token_keys(), receipt_keys(), trust_changes(), vec![expiring(), refusals()], countersign(),
    ];
    of_nouns.into_iter().flatten().collect()
});

/// Every operation there is.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

#[rustfmt::skip]
fn certificates() -> Vec<Operation> {
    const TAG: &str = "Certificates";
    const ALL: &str = "/v1/organization/certificates";
    const ONE: &str = "/v1/organization/certificates/{certificate_id}";
    const POLICY: &str = "/v1/organization/certificates/{certificate_id}/policy";
    const FLOOR: &str = "/v1/organization/certificates/{certificate_id}/floor";
    const USAGE: &str = "/v1/organization/certificates/{certificate_id}/usage";
    const ON: &str = "/v1/organization/certificates/activate";
    const OFF: &str = "/v1/organization/certificates/deactivate";
    const ACTIVE: &str = "/v1/organization/certificates/active";
    vec![
        Operation::admin(MtlsRead, get(ALL, "listOrganizationCertificates"), certificates::list)
            .summary(TAG, "List the organization's certificates."),
        Operation::admin(MtlsWrite, post(ALL, "uploadCertificate"), certificates::upload)
            .summary(TAG, "Upload a certificate. This does not activate it.")
            .refuses(UPLOAD),
        Operation::admin(MtlsWrite, post(ON, "activateOrganizationCertificates"), toggles::activate)
            .summary(TAG, "Activate certificates for the organization, all or none.")
            .refuses(ACTIVATE),
        Operation::admin(MtlsWrite, post(OFF, "deactivateOrganizationCertificates"), toggles::deactivate)
            .summary(TAG, "Deactivate certificates for the organization, all or none.")
            .refuses(DEACTIVATE),
        Operation::admin(MtlsRead, get(ONE, "getCertificate"), certificates::retrieve)
            .summary(TAG, "Get a certificate, active or not."),
        Operation::admin(MtlsWrite, post(ONE, "modifyCertificate"), certificates::update)
            .summary(TAG, "Rename a certificate. Nothing else about it can be modified.")
            .refuses(&[Code::UnsupportedParameter]),
        Operation::admin(MtlsWrite, delete(ONE, "deleteCertificate"), certificates::delete)
            .summary(TAG, "Delete a certificate that is active nowhere.")
            .refuses(&[Code::CertificateInUse]),
        Operation::admin(MtlsRead, get(USAGE, "listCertificateUses"), certificates::list_uses)
            .summary(TAG, "List the leaves that a certificate verified, and who called with them (an extension)."),
        Operation::admin(MtlsWrite, post(POLICY, "updateCertificatePolicy"), certificates::update_policy)
            .summary(TAG, "Set or, with null, remove a certificate's CEL policy, enforced or only reported (an extension).")
            .refuses(&[Code::MtlsCelPolicyInvalid, Code::MissingRequiredParameter, Code::AssertionFailed]),
        Operation::admin(MtlsWrite, post(FLOOR, "updateCertificateFloor"), certificates::update_floor)
            .summary(TAG, "Refuse leaves under a certificate that were issued before a time, or, with null, none by their age; enforced or only reported (an extension). It trusts the dates that the CA writes.")
            .refuses(&[Code::MissingRequiredParameter, Code::AssertionFailed]),
        Operation::admin(MtlsWrite, post(ACTIVE, "setActiveOrganizationCertificates"), active::set)
            .summary(TAG, "Set all certificates that are active for the organization, in one step (an extension).")
            .refuses(SET_ACTIVE),
    ]
}

#[rustfmt::skip]
fn crls() -> Vec<Operation> {
    const TAG: &str = "Certificates";
    const ALL: &str = "/v1/organization/certificates/{certificate_id}/crls";
    const ONE: &str = "/v1/organization/certificates/{certificate_id}/crls/{crl_id}";
    const MISSING: &str = "/v1/organization/certificates/{certificate_id}/crl_missing";
    vec![
        Operation::admin(MtlsRead, get(ALL, "listCertificateCrls"), crls::list)
            .summary(TAG, "List a certificate's revocation lists, the latest of each CA (an extension)."),
        Operation::admin(MtlsWrite, post(ALL, "addCertificateCrl"), crls::add).waits()
            .summary(TAG, "Add a CA's revocation list to a certificate, or replace the CA's earlier one.")
            .refuses(&[Code::MissingRequiredParameter, Code::LimitExceeded, Code::AssertionFailed]),
        Operation::admin(MtlsRead, get(ONE, "getCertificateCrl"), crls::retrieve)
            .summary(TAG, "Get what is kept of a revocation list."),
        Operation::admin(MtlsWrite, delete(ONE, "deleteCertificateCrl"), crls::delete)
            .summary(TAG, "Delete a revocation list: what it names is not revoked any more.")
            .refuses(&[Code::AssertionFailed]),
        Operation::admin(MtlsWrite, post(MISSING, "updateCertificateCrlMissing"), crls::update_missing)
            .summary(TAG, "Set what happens to a certificate of whose issuer there is no current revocation list (an extension).")
            .refuses(&[Code::MissingRequiredParameter, Code::AssertionFailed]),
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
        Operation::admin(MtlsRead, get(ALL, "listProjectCertificates"), certificates::list_in_project)
            .summary(TAG, "List the organization's certificates, with whether each is active for a project."),
        Operation::admin(MtlsWrite, post(ON, "activateProjectCertificates"), toggles::activate_in_project)
            .summary(TAG, "Activate certificates for a project, all or none.")
            .refuses(ACTIVATE_IN_PROJECT),
        Operation::admin(MtlsWrite, post(OFF, "deactivateProjectCertificates"), toggles::deactivate_in_project)
            .summary(TAG, "Deactivate certificates for a project, all or none.")
            .refuses(DEACTIVATE),
        Operation::admin(MtlsWrite, post(ACTIVE, "setActiveProjectCertificates"), active::set_in_project)
            .summary(TAG, "Set all certificates that are active for a project, in one step (an extension).")
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
    const ENDS: &[Code] = &[Code::RotationEnded, Code::RotationNotReady, Code::AssertionFailed];
    vec![
        Operation::admin(MtlsRead, get(ALL, "listRotations"), rotations::list)
            .summary(TAG, "List the rotations of trust anchors (an extension)."),
        Operation::admin(MtlsWrite, post(ALL, "startRotation"), rotations::start)
            .summary(TAG, "Start a rotation: activate the new anchor beside the old one.")
            .refuses(&[
                Code::MissingRequiredParameter, Code::NotFound, Code::ExpiredCertificate,
                Code::ProjectArchived, Code::RotationInProgress, Code::RotationNotReady, Code::AssertionFailed,
            ]),
        Operation::admin(MtlsRead, get(ONE, "getRotation"), rotations::retrieve)
            .summary(TAG, "Get a rotation, with the workloads that have moved and what finishing it would do."),
        Operation::admin(MtlsWrite, post(FINISH, "finishRotation"), rotations::finish)
            .summary(TAG, "Finish a rotation: deactivate the old anchor, unless workloads seen recently would be refused.")
            .refuses(ENDS),
        Operation::admin(MtlsWrite, post(ABORT, "abortRotation"), rotations::abort)
            .summary(TAG, "Abort a rotation: undo its activations, unless workloads seen recently would be refused.")
            .refuses(ENDS),
    ]
}

#[rustfmt::skip]
fn projects() -> Vec<Operation> {
    const TAG: &str = "Projects";
    const ALL: &str = "/v1/organization/projects";
    const ONE: &str = "/v1/organization/projects/{project_id}";
    const ARCHIVE: &str = "/v1/organization/projects/{project_id}/archive";
    vec![
        Operation::admin(Management, get(ALL, "list-projects"), projects::list)
            .summary(TAG, "List the organization's projects."),
        Operation::admin(Management, post(ALL, "create-project"), projects::create)
            .summary(TAG, "Create a project.")
            .refuses(&[Code::MissingRequiredParameter, Code::LimitExceeded]),
        Operation::admin(Management, get(ONE, "retrieve-project"), projects::retrieve)
            .summary(TAG, "Get a project."),
        Operation::admin(Management, post(ONE, "modify-project"), projects::update)
            .summary(TAG, "Modify a project.")
            .refuses(&[Code::UnsupportedParameter]),
        Operation::admin(Management, post(ARCHIVE, "archive-project"), projects::archive)
            .summary(TAG, "Archive a project. This cannot be undone.")
            .refuses(&[Code::AssertionFailed]),
    ]
}

#[rustfmt::skip]
fn service_accounts() -> Vec<Operation> {
    const TAG: &str = "Service accounts";
    const ALL: &str = "/v1/organization/projects/{project_id}/service_accounts";
    const ONE: &str = "/v1/organization/projects/{project_id}/service_accounts/{service_account_id}";
    const KEYS: &str = "/v1/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys";
    vec![
        Operation::admin(Management, get(ALL, "list-project-service-accounts"), service_accounts::list)
            .summary(TAG, "List a project's service accounts."),
        Operation::admin(Management, post(ALL, "create-project-service-account"), service_accounts::create)
            .summary(TAG, "Create a service account and its first key, which is shown only once.")
            .refuses(&[Code::MissingRequiredParameter, Code::ProjectArchived, Code::LimitExceeded]),
        Operation::admin(Management, get(ONE, "retrieve-project-service-account"), service_accounts::retrieve)
            .summary(TAG, "Get a service account."),
        Operation::admin(Management, post(ONE, "update-project-service-account"), service_accounts::update)
            .summary(TAG, "Modify a service account."),
        Operation::admin(Management, delete(ONE, "delete-project-service-account"), service_accounts::delete)
            .summary(TAG, "Delete a service account and its keys."),
        Operation::admin(Management, post(KEYS, "CreateanAPIkeyforaserviceaccount"), service_accounts::create_api_key)
            .summary(TAG, "Create another key for a service account; it is shown only once.")
            .refuses(&[Code::ProjectArchived, Code::LimitExceeded]),
    ]
}

#[rustfmt::skip]
fn project_api_keys() -> Vec<Operation> {
    const TAG: &str = "Project API keys";
    const ALL: &str = "/v1/organization/projects/{project_id}/api_keys";
    const ONE: &str = "/v1/organization/projects/{project_id}/api_keys/{api_key_id}";
    vec![
        Operation::admin(Management, get(ALL, "list-project-api-keys"), project_api_keys::list)
            .summary(TAG, "List a project's keys."),
        Operation::admin(Management, get(ONE, "retrieve-project-api-key"), project_api_keys::retrieve)
            .summary(TAG, "Get a project's key, without its value."),
        Operation::admin(Management, delete(ONE, "delete-project-api-key"), project_api_keys::delete)
            .summary(TAG, "Delete a project's key."),
    ]
}

#[rustfmt::skip]
fn admin_api_keys() -> Vec<Operation> {
    const TAG: &str = "Admin API keys";
    const ALL: &str = "/v1/organization/admin_api_keys";
    const ONE: &str = "/v1/organization/admin_api_keys/{key_id}";
    vec![
        Operation::admin(Management, get(ALL, "admin-api-keys-list"), admin_api_keys::list)
            .summary(TAG, "List the organization's admin keys."),
        Operation::admin(Management, post(ALL, "admin-api-keys-create"), admin_api_keys::create)
            .summary(TAG, "Create an admin key; it is shown only once.")
            .refuses(&[Code::MissingRequiredParameter, Code::LimitExceeded]),
        Operation::admin(Management, get(ONE, "admin-api-keys-get"), admin_api_keys::retrieve)
            .summary(TAG, "Get an admin key, without its value."),
        Operation::admin(Management, delete(ONE, "admin-api-keys-delete"), admin_api_keys::delete)
            .summary(TAG, "Delete an admin key."),
    ]
}

#[rustfmt::skip]
fn audit_logs() -> Vec<Operation> {
    const TAG: &str = "Audit logs";
    const ALL: &str = "/v1/organization/audit_logs";
    const HEAD: &str = "/v1/organization/audit_logs/head";
    vec![
        Operation::admin(AuditRead, get(ALL, "list-audit-logs"), audit_logs::list)
            .summary(TAG, "List the organization's audit events, newest first."),
        Operation::admin(AuditRead, get(HEAD, "getAuditLogHead"), audit_logs::retrieve_head)
            .summary(TAG, "Get the number and the hash of the newest event (an extension)."),
    ]
}

#[rustfmt::skip]
fn trust_changes() -> Vec<Operation> {
    const TAG: &str = "Certificates";
    const ALL: &str = "/v1/organization/changes";
    const PREVIEW: &str = "/v1/organization/changes/preview";
    vec![
        Operation::admin(MtlsWrite, post(ALL, "makeChanges"), trust_changes::make_all)
            .summary(TAG, "Set policies and what is active at scopes, all together or not at all (an extension).")
            .refuses(&[
                Code::MissingRequiredParameter, Code::NotFound, Code::ExpiredCertificate, Code::ProjectArchived,
                Code::ScopeChanged, Code::MtlsCelPolicyInvalid, Code::AssertionFailed,
            ]),
        Operation::admin(MtlsRead, post(PREVIEW, "previewChanges"), trust_changes::preview).waits()
            .summary(TAG, "Say what changes of trust would do together to observed traffic, and make none (an extension).")
            .refuses(&[
                Code::MissingRequiredParameter, Code::NotFound, Code::ExpiredCertificate, Code::ProjectArchived,
                Code::LimitExceeded, Code::MtlsCelPolicyInvalid, Code::ScopeChanged,
            ]),
    ]
}

#[rustfmt::skip]
fn expiring() -> Operation {
    const PATH: &str = "/v1/organization/expiring";
    Operation::admin(MtlsRead, get(PATH, "listExpiring"), expiring::list)
        .summary("Certificates", "List active anchors and observed leaves that expire soon (an extension).")
}

#[rustfmt::skip]
fn refusals() -> Operation {
    const PATH: &str = "/v1/organization/refusals";
    Operation::admin(MtlsRead, get(PATH, "listRefusals"), refusals::list)
        .summary("Certificates", "List refused requests by caller, leaf and code (an extension).")
}

#[rustfmt::skip]
fn webhooks() -> Vec<Operation> {
    const TAG: &str = "Webhooks";
    const ALL: &str = "/v1/organization/webhooks";
    const ONE: &str = "/v1/organization/webhooks/{webhook_id}";
    const TEST: &str = "/v1/organization/webhooks/{webhook_id}/test";
    const DELIVERIES: &str = "/v1/organization/webhooks/{webhook_id}/deliveries";
    vec![
        Operation::admin(Management, get(ALL, "listWebhooks"), webhooks::list)
            .summary(TAG, "List the organization's webhooks."),
        Operation::admin(Management, post(ALL, "createWebhook"), webhooks::create)
            .summary(TAG, "Create a webhook, which every event is sent to: `api.audit.read` is needed too. Its secret is shown only once.")
            .refuses(&[Code::MissingRequiredParameter, Code::LimitExceeded]),
        Operation::admin(Management, get(ONE, "getWebhook"), webhooks::retrieve)
            .summary(TAG, "Get a webhook, without its secret."),
        Operation::admin(Management, delete(ONE, "deleteWebhook"), webhooks::delete)
            .summary(TAG, "Delete a webhook and its pending deliveries."),
        Operation::admin(Management, post(TEST, "testWebhook"), webhooks::test)
            .summary(TAG, "Send a webhook the event `webhook.tested`."),
        Operation::admin(Management, get(DELIVERIES, "listWebhookDeliveries"), webhooks::list_deliveries)
            .summary(TAG, "List a webhook's deliveries of the last 30 days, pending ones included."),
    ]
}

#[rustfmt::skip]
fn assertions() -> Vec<Operation> {
    const TAG: &str = "Assertions";
    const ALL: &str = "/v1/organization/assertions";
    const ONE: &str = "/v1/organization/assertions/{assertion_id}";
    const RUN: &str = "/v1/organization/assertions/run";
    vec![
        Operation::admin(MtlsRead, get(ALL, "listAssertions"), assertions::list)
            .summary(TAG, "List the organization's assertions (an extension)."),
        Operation::admin(MtlsWrite, post(ALL, "createAssertion"), assertions::create)
            .summary(TAG, "Create an assertion: a chain that must pass, or be refused, at a scope. It may be one that does not hold yet.")
            .refuses(&[
                Code::MissingRequiredParameter, Code::NotFound, Code::ProjectArchived, Code::LimitExceeded,
            ]),
        Operation::admin(MtlsRead, post(RUN, "runAssertions"), assertions::run)
            .summary(TAG, "Say which assertions hold by what is in force now."),
        Operation::admin(MtlsRead, get(ONE, "getAssertion"), assertions::retrieve)
            .summary(TAG, "Get an assertion."),
        Operation::admin(MtlsWrite, post(ONE, "updateAssertion"), assertions::update)
            .summary(TAG, "Change the name or the reason of an assertion.")
            .refuses(&[Code::UnsupportedParameter]),
        Operation::admin(MtlsWrite, delete(ONE, "deleteAssertion"), assertions::delete)
            .summary(TAG, "Delete an assertion."),
    ]
}

#[rustfmt::skip]
fn denials() -> Vec<Operation> {
    const TAG: &str = "Denials";
    const ALL: &str = "/v1/organization/denials";
    const ONE: &str = "/v1/organization/denials/{denial_id}";
    vec![
        Operation::admin(MtlsRead, get(ALL, "listDenials"), denials::list)
            .summary(TAG, "List the organization's denials (an extension)."),
        Operation::admin(MtlsWrite, post(ALL, "createDenial"), denials::create)
            .summary(TAG, "Refuse certificates that would verify: one leaf, a key, a serial number of an issuer, or a subject alternative name.")
            .refuses(&[Code::MissingRequiredParameter, Code::NotFound, Code::ProjectArchived, Code::LimitExceeded, Code::AssertionFailed]),
        Operation::admin(MtlsRead, get(ONE, "getDenial"), denials::retrieve)
            .summary(TAG, "Get a denial."),
        Operation::admin(MtlsWrite, delete(ONE, "deleteDenial"), denials::delete)
            .summary(TAG, "Delete a denial: what it refused is let in again.")
            .refuses(&[Code::AssertionFailed]),
    ]
}

#[rustfmt::skip]
fn workload_identity_providers() -> Vec<Operation> {
    const TAG: &str = "Workload identity";
    const ALL: &str = "/v1/organization/workload_identity_providers";
    const ONE: &str = "/v1/organization/workload_identity_providers/{workload_identity_provider_id}";
    vec![
        Operation::admin(Management, get(ALL, "listWorkloadIdentityProviders"), workload_identity_providers::list)
            .summary(TAG, "List the organization's workload identity providers."),
        Operation::admin(Management, post(ALL, "createWorkloadIdentityProvider"), workload_identity_providers::create)
            .summary(TAG, "Create a workload identity provider: how certificates become attributes.")
            .refuses(&[
                Code::MissingRequiredParameter, Code::UnsupportedParameter, Code::MtlsCelPolicyInvalid, Code::LimitExceeded,
            ]),
        Operation::admin(Management, get(ONE, "getWorkloadIdentityProvider"), workload_identity_providers::retrieve)
            .summary(TAG, "Get a workload identity provider."),
        Operation::admin(Management, post(ONE, "updateWorkloadIdentityProvider"), workload_identity_providers::update)
            .summary(TAG, "Change a workload identity provider.")
            .refuses(&[Code::UnsupportedParameter, Code::MtlsCelPolicyInvalid]),
        Operation::admin(Management, delete(ONE, "deleteWorkloadIdentityProvider"), workload_identity_providers::delete)
            .summary(TAG, "Delete a workload identity provider and its federation rules."),
    ]
}

#[rustfmt::skip]
fn federation_rules() -> Vec<Operation> {
    const TAG: &str = "Workload identity";
    const ALL: &str = "/v1/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules";
    const ONE: &str = "/v1/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/{federation_rule_id}";
    const TEST: &str = "/v1/organization/workload_identity_providers/{workload_identity_provider_id}/federation_rules/test";
    vec![
        Operation::admin(Management, get(ALL, "listFederationRules"), federation_rules::list)
            .summary(TAG, "List a workload identity provider's federation rules."),
        Operation::admin(Management, post(ALL, "createFederationRule"), federation_rules::create)
            .summary(TAG, "Create a federation rule: which attributes belong to which service account.")
            .refuses(&[
                Code::MissingRequiredParameter, Code::ProjectArchived, Code::LimitExceeded,
            ]),
        Operation::admin(Management, get(ONE, "getFederationRule"), federation_rules::retrieve)
            .summary(TAG, "Get a federation rule."),
        Operation::admin(Management, post(ONE, "updateFederationRule"), federation_rules::update)
            .summary(TAG, "Change a federation rule.")
            .refuses(&[Code::UnsupportedParameter]),
        Operation::admin(Management, delete(ONE, "deleteFederationRule"), federation_rules::delete)
            .summary(TAG, "Delete a federation rule."),
        Operation::admin(Management, post(TEST, "testFederationRules"), federation_rules::test)
            .summary(TAG, "Say what an exchange of a certificate would do, step by step. No token is issued (an extension).")
            .refuses(&[Code::MissingRequiredParameter]),
    ]
}

#[rustfmt::skip]
fn token_keys() -> Vec<Operation> {
    const TAG: &str = "Workload identity";
    const ALL: &str = "/v1/organization/token_keys";
    const ROTATE: &str = "/v1/organization/token_keys/rotate";
    vec![
        Operation::admin(Management, get(ALL, "listTokenKeys"), token_keys::list)
            .summary(TAG, "List the keys that the organization's tokens are signed with (an extension)."),
        Operation::admin(Management, post(ROTATE, "rotateTokenKey"), token_keys::rotate)
            .summary(TAG, "Put a new key in place of the newest; no token is refused for it, unless the old ones are to end at once."),
    ]
}

#[rustfmt::skip]
fn receipt_keys() -> Vec<Operation> {
    const TAG: &str = "Receipts";
    const ALL: &str = "/v1/organization/receipt_keys";
    const WITHDRAW: &str = "/v1/organization/receipt_keys/{receipt_key_id}/withdraw";
    vec![
        Operation::admin(Management, get(ALL, "listReceiptKeys"), receipt_keys::list)
            .summary(TAG, "List the keys of gateways whose receipts the organization believes, and those that were withdrawn (an extension)."),
        Operation::admin(Management, post(WITHDRAW, "withdrawReceiptKey"), receipt_keys::withdraw)
            .summary(TAG, "Withdraw a key for good: no gateway gives receipts with it any more, or can register it again (an extension)."),
    ]
}

#[rustfmt::skip]
fn countersign() -> Vec<Operation> {
    const TAG: &str = "Countersign";
    const EXCHANGE: &str = "/v1/countersign/token-exchange";
    const RECEIPT_KEYS: &str = "/v1/countersign/receipt-keys";
    const BUNDLE: &str = "/v1/countersign/bundle";
    const DIGESTS: &str = "/v1/countersign/bundle/digests";
    const REVOKED_SETS: &str = "/v1/countersign/revoked-sets";
    const GATEWAYS: &str = "/v1/countersign/gateways";
    const GATEWAY: &str = "/v1/countersign/gateways/{gateway_id}";
    const EXTENSIONS: &str = "/v1/countersign/extensions";
    const OBSERVATIONS: &str = "/v1/countersign/observations";
    vec![
        Operation::gateway(get(BUNDLE, "getBundle"), gateways::bundle).waits()
            .summary(TAG, "Get the organizations that changed after a point of the history, each whole."),
        Operation::gateway(get(DIGESTS, "listBundleDigests"), gateways::digests)
            .summary(TAG, "List what every organization's bundle should be, as digests."),
        Operation::gateway(get(REVOKED_SETS, "getRevokedSet"), crls::revoked_set)
            .summary(TAG, "Get a part of the serial numbers that a revocation list names.")
            .refuses(&[Code::NotFound]),
        Operation::admin_or_gateway(MtlsRead, get(GATEWAYS, "listGateways"), gateways::list)
            .summary(TAG, "List the gateways that are known and the revisions that they enforce."),
        Operation::gateway(delete(GATEWAY, "forgetGateway"), gateways::forget)
            .summary(TAG, "Forget a gateway that has ended and enforces nothing any more."),
        Operation::public(get(EXTENSIONS, "listExtensions"), health::extensions)
            .summary(TAG, "List what this server supports beyond the reference."),
        Operation::gateway(post(OBSERVATIONS, "recordObservations"), observations::record)
            .summary(TAG, "Record what a gateway observed. A batch is applied whole, and once.")
            .refuses(&[Code::MissingRequiredParameter]),
        Operation::gateway(post(RECEIPT_KEYS, "registerReceiptKey"), receipt_keys::register)
            .summary(TAG, "Register the key that a gateway signs receipts with, for some organizations.")
            .refuses(&[Code::MissingRequiredParameter, Code::LimitExceeded]),
        Operation::gateway(post(EXCHANGE, "exchangeToken"), token_exchange::create)
            .summary(TAG, "Decide whether a workload's certificate is exchanged for a token. A refusal is an answer.")
            .refuses(&[Code::MissingRequiredParameter]),
        Operation::public(get("/openapi.json", "getOpenapiDocument"), health::document)
            .summary(TAG, "Get this document."),
        Operation::public(get("/healthz", "getHealth"), health::live)
            .summary(TAG, "Check that the process is alive."),
        Operation::public(get("/readyz", "getReadiness"), health::ready)
            .summary(TAG, "Check that the process can answer: it can read the database and is not shutting down.")
            .refuses(&[Code::StorageUnavailable, Code::Overloaded]),
    ]
}

#[cfg(test)]
mod tests {
    use super::operations;

    #[test]
    fn every_handler_takes_the_ids_of_its_path() {
        for operation in operations() {
            let names: Vec<_> = operation.names().collect();
            let ids = &operation.contract.ids;
            assert_eq!(names.len(), ids.len(), "{}", operation.path());
            for (name, noun) in names.iter().zip(ids) {
                let of_noun = format!("{}_id", noun.to_lowercase().replace(' ', "_"));
                // The reference shortens `api_key_id` to `key_id` on the paths of admin keys.
                assert!(
                    of_noun.ends_with(name),
                    "{}: {name}, {noun}",
                    operation.path()
                );
            }
        }
    }
}
