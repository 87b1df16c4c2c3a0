//! A `dev` that is ready, and the variables that connect a client to it.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use countersign_gateway::Gateway;

use super::{gateway::GatewayFiles, identity::Identity, keys::Keys};

/// A `dev` that is ready.
pub(super) struct Ready<'a> {
    pub(super) address: SocketAddr,
    pub(super) gateway: &'a Gateway,
    pub(super) identity: Identity,
    pub(super) keys: Keys,
    pub(super) gateway_files: GatewayFiles,
}

/// The base URL of the API at an address.
pub(super) fn base_url(scheme: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("{scheme}://{host}:{}/v1", address.port())
}

impl Ready<'_> {
    pub(super) fn base_url(&self) -> String {
        base_url("http", self.address)
    }

    pub(super) fn gateway_url(&self) -> String {
        base_url("https", self.gateway.address())
    }

    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let mut variables = vec![
            ("OPENAI_BASE_URL", self.base_url()),
            ("OPENAI_ADMIN_KEY", self.keys.admin_key.reveal().to_owned()),
            ("OPENAI_PROJECT_ID", self.keys.project_id.to_string()),
            ("OPENAI_API_KEY", self.keys.api_key.reveal().to_owned()),
            ("COUNTERSIGN_CLIENT_CA", path(&self.identity.ca)),
            (
                "OPENAI_MTLS_CLIENT_CERT_FILE",
                path(&self.identity.certificate),
            ),
            ("OPENAI_MTLS_CLIENT_KEY_FILE", path(&self.identity.key)),
            ("COUNTERSIGN_GATEWAY_URL", self.gateway_url()),
            ("COUNTERSIGN_SERVER_CA", path(&self.gateway_files.server_ca)),
        ];
        if let Some(address) = self.gateway.admin_address() {
            variables.push(("COUNTERSIGN_GATEWAY_ADMIN_URL", format!("http://{address}")));
        }
        variables
    }
}
