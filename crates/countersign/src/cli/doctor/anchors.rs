//! Checks the organization's trust anchors: whether a gateway of this version can use each.

use countersign_client::{Client, Error, ListParams};
use countersign_types::certificate::{Certificate, Scope};
use countersign_verify::certificate::why_unusable;
use futures_util::TryStreamExt as _;

use super::check::Check;
use crate::failure::Failure;

const CHECK: &str = "trust anchors";

/// Whether every trust anchor can be used; nothing where there is none. An older version may have
/// accepted what this one refuses to judge by.
pub(super) async fn check(client: &Client) -> Option<Check> {
    match uploaded(client).await {
        Ok(anchors) if anchors.is_empty() => None,
        Ok(anchors) => Some(usable(&anchors)),
        Err(error) => Some(Check::failed(CHECK, &Failure::from(error))),
    }
}

/// Every certificate of the organization, with its PEM.
async fn uploaded(client: &Client) -> Result<Vec<Certificate>, Error> {
    let certificates = client.certificates();
    let listed = certificates.stream(&Scope::Organization, &ListParams::default());
    let ids: Vec<_> = listed
        .map_ok(|entry| entry.id.clone())
        .try_collect()
        .await?;
    let mut found = Vec::with_capacity(ids.len());
    for id in &ids {
        match certificates.retrieve_with_content(id).await {
            Ok(answer) => found.push(answer.value.into_inner()),
            // Deleted meanwhile.
            Err(error) if error.status() == Some(404) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn usable(anchors: &[Certificate]) -> Check {
    let unusable: Vec<String> = anchors.iter().filter_map(why_not).collect();
    if unusable.is_empty() {
        return Check::ok(
            CHECK,
            format!("gateways can use all of them ({})", anchors.len()),
        );
    }
    Check::warn(
        CHECK,
        format!("gateways cannot use: {}", unusable.join("; ")),
        "an unusable one that is active counts as active and permits nothing: upload a corrected \
         one, activate it, and deactivate and delete the other",
    )
}

/// The certificate's id, its name and what is wrong with it, if anything is.
fn why_not(certificate: &Certificate) -> Option<String> {
    let pem = certificate.certificate_details.content.as_deref()?;
    let why = why_unusable(pem)?.message;
    let id = &certificate.id;
    Some(match &certificate.name {
        Some(name) => format!("`{id}` (`{name}`): {why}"),
        None => format!("`{id}`: {why}"),
    })
}

#[cfg(test)]
mod tests {
    use countersign_testca::root;
    use serde_json::json;

    use super::*;

    fn certificate(name: &str, pem: &str) -> Certificate {
        let details = json!({"valid_at": 0, "expires_at": 0, "content": pem});
        serde_json::from_value(json!({
            "object": "certificate",
            "id": countersign_types::id::CertificateId::from_random(1),
            "name": name,
            "created_at": 0,
            "certificate_details": details,
        }))
        .unwrap()
    }

    #[test]
    fn anchors_that_gateways_cannot_use_are_named() {
        let good = certificate("good", &root("Good").mint().pem());
        let check = usable(std::slice::from_ref(&good)).line();
        assert!(
            check.starts_with("ok    trust anchors: gateways can use all"),
            "{check}"
        );
        let bad = certificate("older", &root("Older").no_ski().mint().pem());
        let check = usable(&[good, bad]).line();
        assert!(
            check.starts_with("warn  trust anchors: gateways cannot use: "),
            "{check}"
        );
        assert!(
            check.contains("(`older`): ") && !check.contains("`good`"),
            "{check}"
        );
    }
}
