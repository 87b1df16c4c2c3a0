//! Names those of several ids that a server does not know: its message cannot, since it repeats
//! nothing that was sent.

use countersign_client::{Client, Error};
use countersign_types::{error::ErrorCode, id::CertificateId};

use super::reference::{Directory, Listing};
use crate::failure::Failure;

/// The failure of a call that was given these certificates.
pub(super) async fn failure(client: &Client, error: Error, ids: &[CertificateId]) -> Failure {
    let of_an_id = |param: &str| param.starts_with("certificate_ids");
    let param = error.api().and_then(|refused| refused.param.as_deref());
    if error.code() != Some(ErrorCode::NotFound) || !param.is_some_and(of_an_id) {
        return error.into();
    }
    let listed = Directory::<CertificateId>::entries(client).await;
    let Ok(Listing::All(entries)) = listed else {
        return error.into();
    };
    let unknown: Vec<String> = ids
        .iter()
        .filter(|id| !entries.iter().any(|entry| entry.id == **id))
        .map(|id| format!("`{id}`"))
        .collect();
    if unknown.is_empty() {
        return error.into();
    }
    Failure::new(format_args!(
        "there is no certificate {} in this organization; nothing was changed",
        unknown.join(", ")
    ))
    .hint("`countersign certificate list` shows those that there are")
}
