mod admin_api_keys;
mod assertions;
mod audit_logs;
mod certificates;
mod projects;
mod rotations;
mod webhooks;
mod workload_identity;
