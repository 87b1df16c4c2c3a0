//! The scope that a command works at, as a flag.

use clap::Args;
use countersign_client::{Client, Error};
use countersign_types::{
    certificate::{Enforcement, Scope, ScopedCertificate},
    id::ProjectId,
};

use super::reference::Reference;
use crate::failure::CommandResult;

/// The scope of a command. It is never taken from the environment: an activation must not go to
/// another scope because of a variable that nobody looked at.
#[derive(Debug, Args)]
pub(super) struct AtScope {
    /// The project: id or name [default: the organization]
    #[arg(long, value_name = "ID|NAME")]
    project: Option<Reference<ProjectId>>,
}

impl AtScope {
    /// The scope that is meant.
    pub(super) async fn resolve(&self, client: &Client) -> CommandResult<Scope> {
        Ok(match &self.project {
            Some(project) => Scope::Project(project.resolve(client).await?),
            None => Scope::Organization,
        })
    }

    /// The scope as whoever named it calls it.
    pub(super) fn shown(&self) -> String {
        let project = self.project.as_ref();
        project.map_or_else(
            || "the whole organization".to_owned(),
            |project| format!("project {project}"),
        )
    }
}

/// How a certificate is active at the scope that it was listed for; `None` if it is not. What is
/// decided by this cannot be decided where the server knows a way that is not known here.
pub(super) fn active_as(
    client: &Client,
    certificate: &ScopedCertificate,
) -> Result<Option<Enforcement>, Error> {
    let found = certificate.enforcement.clone().unwrap_or_default();
    match found.known() {
        _ if !certificate.active => Ok(None),
        Some(known) => Ok(Some(known)),
        None => Err(Error::Decode {
            origin: client.base_url().to_string(),
            reason: format!(
                "`{}` is active with the enforcement `{found}`, which this version does not know",
                certificate.id
            ),
            request_id: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use countersign_types::secret::Secret;
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_decided_by_an_enforcement_that_is_not_known() {
        let client = Client::builder().key(Secret::new("sk-admin-x"));
        let client = client.base_url("http://127.0.0.1:9/v1").build().unwrap();
        for (active, enforcement, wanted) in [
            (true, None, Some(Some(Enforcement::Enforce))),
            (true, Some("enforce"), Some(Some(Enforcement::Enforce))),
            (true, Some("report"), Some(Some(Enforcement::Report))),
            (true, Some("shadow"), None),
            (false, None, Some(None)),
            (false, Some("shadow"), Some(None)),
        ] {
            let listed = json!({
                "object": "organization.certificate", "id": "cert_a", "name": null,
                "created_at": 3, "active": active, "enforcement": enforcement,
                "certificate_details": {},
            });
            let found = active_as(&client, &serde_json::from_value(listed).unwrap());
            if wanted.is_none() {
                let why = found.as_ref().unwrap_err().to_string();
                assert!(
                    why.contains("`cert_a`") && why.contains("`shadow`"),
                    "{why}"
                );
            }
            assert_eq!(found.ok(), wanted, "{active} {enforcement:?}");
        }
    }
}
