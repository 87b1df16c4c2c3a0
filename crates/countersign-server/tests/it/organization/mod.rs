mod admin_api_keys;
mod audit_logs;
mod certificates;
mod projects;
mod rotations;
mod webhooks;
