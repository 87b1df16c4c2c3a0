//! What only Countersign has: bundles for gateways, and which gateways there are.

use std::time::Duration;

use countersign_types::{
    bundle::{Bundle, Gateways},
    id::GatewayId,
};

use crate::{Client, Error, Response, request::Request};

/// Countersign's own operations: see [`Client::countersign`].
#[derive(Debug, Clone)]
pub struct Countersign {
    client: Client,
}

impl Countersign {
    /// The organizations that changed after a revision, each whole; 0 asks for all. The server
    /// holds the request open until there is one, for `wait` at the longest (whole seconds, 60 at
    /// the most), and the client's timeout counts from there. The gateway, its id and its name
    /// (empty for none), is then listed as enforcing revision `after`. Needs a gateway key.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn bundle(
        &self,
        (gateway, name): (&GatewayId, &str),
        after: u64,
        wait: Duration,
    ) -> Result<Response<Bundle>, Error> {
        let request = Request::get(&["countersign", "bundle"])
            .query("gateway", [gateway])
            .query("name", Some(name).filter(|name| !name.is_empty()))
            .query("after", [after])
            .query("wait", [wait.as_secs()])
            .held_open(wait);
        self.client.send(request).await
    }

    /// The gateways that are alive, and the revision that each enforces.
    ///
    /// # Errors
    /// As every call: see [`Error`].
    pub async fn gateways(&self) -> Result<Response<Gateways>, Error> {
        self.client
            .send(Request::get(&["countersign", "gateways"]))
            .await
    }
}

impl Client {
    /// What only Countersign has.
    #[must_use]
    pub fn countersign(&self) -> Countersign {
        Countersign {
            client: self.clone(),
        }
    }
}
