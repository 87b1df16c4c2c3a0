//! Rows as older versions of the schema held them.

use countersign_testca::{Minted, root};
use countersign_types::digest::Sha256;

use crate::store::dialect::Dialect;

/// When everything happened, in Unix seconds, and on which day.
pub(super) const AT: u64 = 1_780_000_000;
const DAY: u64 = AT / 86_400;

/// A client's chain, and what is trusted.
pub(super) struct Chain {
    ca: Minted,
    leaf: Minted,
}

impl Chain {
    pub(super) fn new() -> Self {
        let ca = root("Trusted").mint();
        let leaf = ca.leaf("caller").mint();
        Self { ca, leaf }
    }

    /// One row at least for each table that a step of the schema added, written as the step left them; and for
    /// the first, two organizations' worth of a whole deployment.
    pub(super) fn rows_of_step(&self, step: usize, dialect: Dialect) -> String {
        let text = match step {
            1 => FIRST,
            4 => OBSERVATIONS,
            5 => ROTATIONS,
            6 => WEBHOOKS,
            7 => EXPIRY,
            11 => REFUSALS,
            13 => ASSERTIONS,
            16 => LIMITED_KEYS,
            17 => WORKLOAD_IDENTITY,
            18 => FORMER_KEYS,
            19 => TOKEN_KEYS,
            20 => RECEIPT_KEYS,
            21 => DENIALS,
            22 => CRLS,
            23 => KEY_CHANGES,
            24 => REFUSED_BY,
            25 => LIVE_STREAMS,
            _ => return String::new(),
        };
        let blob = |bytes: &[u8]| {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            match dialect {
                Dialect::Sqlite => format!("x'{hex}'"),
                Dialect::Postgres => format!("'\\x{hex}'::bytea"),
            }
        };
        let der = self.leaf.der();
        let length = u32::try_from(der.len()).unwrap().to_be_bytes();
        let chain = [&length[..], der].concat();
        text.replace("{pem}", &blob(self.ca.pem().as_bytes()))
            .replace("{leaf}", &blob(der))
            .replace("{chain}", &blob(&chain))
            .replace("{none}", &blob(&[]))
            .replace("{sha256-none}", &blob(Sha256::of([]).as_bytes()))
            .replace("{sha256-a}", &blob(&[0xa; 32]))
            .replace("{sha256-b}", &blob(&[0xb; 32]))
            .replace("{sha256-c}", &blob(&[0xc; 32]))
            .replace("{at}", &AT.to_string())
            .replace("{day}", &DAY.to_string())
    }
}

const FIRST: &str = "
UPDATE deployment SET revision = 2;
INSERT INTO organizations (id, name, created_at, revision, clock) VALUES ('org-a', 'a', {at}, 2, {at});
INSERT INTO projects (id, organization_id, name, created_at) VALUES ('proj_a', 'org-a', 'shop', {at});
INSERT INTO certificates (id, organization_id, name, valid_at, expires_at, created_at, fingerprint, pem) VALUES
    ('cert_a', 'org-a', 'old', 1700000000, 4000000000, {at}, {sha256-a}, {pem}),
    ('cert_b', 'org-a', NULL, 1700000000, 4000000000, {at}, {sha256-b}, {pem});
INSERT INTO activations (organization_id, project_id, certificate_id, activated_at) VALUES
    ('org-a', '', 'cert_b', {at}), ('org-a', 'proj_a', 'cert_a', {at});
INSERT INTO service_accounts (id, organization_id, project_id, name, role, created_at) VALUES
    ('svc_acct_a', 'org-a', 'proj_a', 'caller', 'member', {at});
INSERT INTO api_keys (id, kind, organization_id, project_id, service_account_id, name, digest, redacted_value,
    permissions, created_at) VALUES
    ('key_admin', 'admin', 'org-a', NULL, NULL, 'first', {sha256-a}, 'sk-admin-***a', 'api.mtls.read', {at}),
    ('key_caller', 'project', 'org-a', 'proj_a', 'svc_acct_a', 'caller', {sha256-b}, 'sk-svcacct-***b', '', {at}),
    ('key_gateway', 'gateway', NULL, NULL, NULL, 'edge', {sha256-c}, 'sk-gateway-***c', '', {at});
INSERT INTO audit_logs (id, organization_id, effective_at, event_type, project_id, project_name, actor_id, details)
    VALUES ('audit_log-1', 'org-a', {at}, 'project.created', 'proj_a', 'shop', 'key_admin', '{\"id\":\"proj_a\"}'),
    ('audit_log-2', 'org-a', {at}, 'certificate.created', NULL, NULL, 'key_admin', '{\"id\":\"cert_a\"}');
INSERT INTO audit_log_resources (organization_id, resource_id, audit_seq) VALUES ('org-a', 'proj_a', 1);
INSERT INTO gateways (id, name, revision, seen_at) VALUES ('gw_a', 'edge', 2, {at});
";

const OBSERVATIONS: &str = "
INSERT INTO observation_batches (gateway_id, number, seen_at) VALUES ('gw_a', 1, {at});
INSERT INTO observed_certificates (organization_id, sha256, der, last_day) VALUES
    ('org-a', {sha256-a}, {leaf}, {day});
INSERT INTO observed_chains (organization_id, sha256, leaf, intermediates, subject, names, issuer, not_after, last_day)
    VALUES ('org-a', {sha256-a}, 1, {none}, 'CN=caller', '[]', 'CN=Trusted', 4000000000, {day});
INSERT INTO observed_outcomes (organization_id, project_id, key_id, chain, leaf, code, anchor_id, anchor_project,
    reported, reported_anchor_id, first_seen, last_day) VALUES
    ('org-a', 'proj_a', 'key_caller', 1, 1, '', 'cert_a', 'proj_a', '', '', {at}, {day});
INSERT INTO observations (outcome, day, requests, last_seen) VALUES (1, {day}, 7, {at});
INSERT INTO anchor_requests (organization_id, anchor_id, anchor_project, day, requests, last_seen) VALUES
    ('org-a', 'cert_a', 'proj_a', {day}, 7, {at});
";

const ROTATIONS: &str = "
INSERT INTO rotations (id, organization_id, old_certificate_id, new_certificate_id, enforcement, status, created_at)
    VALUES ('rot_a', 'org-a', 'cert_a', 'cert_b', 'enforce', 'in_progress', {at});
INSERT INTO rotation_scopes (rotation_id, project_id, new_before, new_set) VALUES ('rot_a', 'proj_a', NULL, 'enforce');
";

const WEBHOOKS: &str = "
UPDATE organizations SET webhooks = 1;
INSERT INTO webhooks (id, organization_id, url, secret, created_at) VALUES
    ('wh_a', 'org-a', 'https://hooks.example.com/', {sha256-a}, {at});
INSERT INTO webhook_deliveries (id, webhook_id, event_type, payload, created_at, due_at) VALUES
    ('whd_a', 'wh_a', 'certificate.created', '{}', {at}, {at});
";

const EXPIRY: &str = "
INSERT INTO expiry_notices (organization_id, thing, days, expires_at) VALUES ('org-a', 'cert_a', 30, 4000000000);
INSERT INTO refused_scopes (organization_id, project_id, last_refused_at) VALUES ('org-a', 'proj_a', {at});
";

const REFUSALS: &str = "
INSERT INTO refusals (organization_id, project_id, key_id, code, leaf, subject, requests, first_seen, last_seen) VALUES
    ('org-a', 'proj_a', 'key_caller', 'certificate_required', '', '', 3, {at}, {at});
";

const ASSERTIONS: &str = "
UPDATE organizations SET assertions = 1;
INSERT INTO assertions (id, organization_id, project_id, name, expect, chain, created_at) VALUES
    ('asrt_a', 'org-a', 'proj_a', 'must', 'permit', {chain}, {at});
";

const WORKLOAD_IDENTITY: &str = "
INSERT INTO workload_identity_providers (id, organization_id, name, enabled, transformations, created_at, updated_at) VALUES
    ('idp_a', 'org-a', 'mesh', 1, '[]', {at}, {at});
INSERT INTO federation_rules (id, organization_id, provider_id, project_id, service_account_id, enabled, matchers, permissions, created_at, updated_at)
    SELECT 'idprule_a', 'org-a', 'idp_a', project_id, id, 1, '{}', '{\"type\":\"service_account_default\"}', {at}, {at}
    FROM service_accounts;
";

const TOKEN_KEYS: &str = "
INSERT INTO token_keys (id, organization_id, public_key, seed, created_at, signs_at) VALUES
    ('tk_a', 'org-a', {sha256-a}, {sha256-b}, {at}, {at});
";

const RECEIPT_KEYS: &str = "
INSERT INTO receipt_keys (organization_id, id, gateway_id, key_id, created_at) VALUES
    ('org-a', 'rk_a', 'gw_a', 'key_gateway', {at});
";

const LIMITED_KEYS: &str = "
UPDATE api_keys SET limited = 1 WHERE id = 'key_gateway';
INSERT INTO gateway_key_organizations (key_id, organization_id) VALUES ('key_gateway', 'org-a');
";

const FORMER_KEYS: &str = "
INSERT INTO former_key_organizations (key_id, organization_id) VALUES ('key_former', 'org-a');
";

const DENIALS: &str = "
UPDATE organizations SET denials = 1;
INSERT INTO denials (id, organization_id, project_id, name, matches, enforcement, created_by, created_at) VALUES
    ('deny_a', 'org-a', '', 'left', '{\"spki_sha256\":\"0000000000000000000000000000000000000000000000000000000000000000\"}',
    'enforce', 'key_admin', {at});
";

const CRLS: &str = "
UPDATE organizations SET crls = 1;
UPDATE certificates SET crls = 1, crl_next_update = 4000000000 WHERE id = 'cert_a';
INSERT INTO revoked_sets (organization_id, sha256, records) VALUES ('org-a', {sha256-none}, {none});
INSERT INTO crls (id, organization_id, certificate_id, issuer, issuer_name, this_update, next_update,
    only_user_certificates, entries, sha256, revoked, created_at, updated_at, updated_by) VALUES
    ('crl_a', 'org-a', 'cert_a', {sha256-a}, 'CN=Trusted', {at}, 4000000000, 0, 0, {sha256-b}, {sha256-none}, {at}, {at},
    'key_admin');
";

const KEY_CHANGES: &str = "
INSERT INTO key_changes (organization_id, revision, key_id) VALUES ('org-a', 2, 'key_admin');
";

const REFUSED_BY: &str = "
INSERT INTO refused_by (organization_id, by_id, enforcement, day, requests, last_seen) VALUES
    ('org-a', 'cert_a', 'enforce', {day}, 3, {at});
";

const LIVE_STREAMS: &str = "
INSERT INTO live_streams (gateway_id, organization_id, streams, workloads) VALUES ('gw_a', 'org-a', 0, '[]');
";
