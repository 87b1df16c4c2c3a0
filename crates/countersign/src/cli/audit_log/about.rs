//! Whom and what events are looked for by: an id, or a name.

use std::{collections::HashSet, convert::Infallible, str::FromStr};

use countersign_client::Client;
use countersign_types::id::{
    ApiKeyId, AssertionId, CertificateId, DenialId, ProjectId, WebhookId,
    WorkloadIdentityProviderId, prefix_of,
};

use crate::{
    cli::reference::{Directory, Identifier, Listing, Reference},
    failure::{CommandResult, Failure},
    output::printable,
};

/// An id of whatever kind, or a name.
#[derive(Debug, Clone)]
pub(crate) struct About(String);

impl FromStr for About {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// The ids of those who made changes. What is not an admin key by its id or name may be somebody of another
/// server, or a key that is gone, if it has the form of an id.
pub(super) async fn actors(client: &Client, given: &[About]) -> CommandResult<Vec<String>> {
    if given.is_empty() {
        return Ok(Vec::new());
    }
    let keys = Directory::<ApiKeyId>::entries(client).await?;
    let mut ids = Vec::new();
    for About(text) in given {
        if prefix_of(text).is_some() {
            let named = named(&keys, text);
            ids.push(named.into_iter().next().unwrap_or_else(|| text.clone()));
            continue;
        }
        let key: Reference<ApiKeyId> = text.parse().map_err(Failure::usage)?;
        ids.push(key.among(&keys)?.to_string());
    }
    Ok(ids)
}

/// The ids of what was changed. Only what has no form of an id is looked for by its name.
pub(super) async fn resources(client: &Client, given: &[About]) -> CommandResult<Vec<String>> {
    let mut ids = Vec::new();
    for About(text) in given {
        let found = all_called(client, text).await?;
        match found.as_slice() {
            [id] => ids.push(id.clone()),
            [] if prefix_of(text).is_some() => ids.push(text.clone()),
            [] => {
                let shown = printable(text);
                return Err(Failure::usage(format_args!(
                    "there is no certificate, project, admin key, assertion, denial, webhook or workload identity provider called `{shown}`"
                ))
                .hint("give its id: what is gone, and a project's accounts and keys, are found by it"));
            }
            several => {
                let shown = printable(text);
                return Err(
                    Failure::usage(format_args!("several things are called `{shown}`"))
                        .hint(format!("give the id of one: {}", several.join(", "))),
                );
            }
        }
    }
    Ok(ids)
}

/// The ids of everything that has this name.
async fn all_called(client: &Client, name: &str) -> CommandResult<Vec<String>> {
    let mut ids = named(&Directory::<CertificateId>::entries(client).await?, name);
    ids.extend(named(&Directory::<ProjectId>::entries(client).await?, name));
    ids.extend(named(&Directory::<ApiKeyId>::entries(client).await?, name));
    ids.extend(named(
        &Directory::<AssertionId>::entries(client).await?,
        name,
    ));
    ids.extend(named(&Directory::<DenialId>::entries(client).await?, name));
    ids.extend(named(&Directory::<WebhookId>::entries(client).await?, name));
    ids.extend(named(
        &Directory::<WorkloadIdentityProviderId>::entries(client).await?,
        name,
    ));
    Ok(ids)
}

fn named<I: Identifier>(listing: &Listing<I>, name: &str) -> Vec<String> {
    let Listing::All(entries) = listing else {
        return Vec::new();
    };
    let called = entries
        .iter()
        .filter(|each| each.name.as_deref() == Some(name));
    let ids: HashSet<&str> = called.map(|each| each.id.as_ref()).collect();
    ids.into_iter().map(str::to_owned).collect()
}
