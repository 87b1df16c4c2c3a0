//! What gateways saw, for whoever denies a name: one that nobody has is a slip of the pen, perhaps.

use std::collections::BTreeSet;

use countersign_client::{Client, ListParams};
use countersign_types::{
    certificate::Scope,
    denial::{DenialMatch, SubjectAltName},
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::output::{note, printable};

/// The most client certificates that are looked at: a warning is not worth more.
const MAX_LOOKED_AT: usize = 10_000;
/// How alike a name must be to be named.
const ALIKE: f64 = 0.7;

/// Says that no client with a name was seen, and which name that was seen is the nearest. Where it cannot be
/// known, nothing is said.
pub(super) async fn warn_if_unseen(client: &Client, matches: &DenialMatch) {
    let DenialMatch::SubjectAltName(name) = matches else {
        return;
    };
    let Ok(seen) = seen(client).await else {
        return;
    };
    if let Some(warning) = warning(name, &seen) {
        note(&warning);
    }
}

fn warning(name: &SubjectAltName, seen: &BTreeSet<String>) -> Option<String> {
    let shown = name.to_string();
    let lower = shown.to_lowercase();
    if seen.iter().any(|one| one.to_lowercase() == lower) {
        return None;
    }
    let likeness = |one: &String| strsim::jaro_winkler(&one.to_lowercase(), &lower);
    let nearest = seen
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.filter(|one| likeness(one) >= ALIKE);
    let hint = match nearest {
        Some(nearest) => format!("; the nearest that was is `{}`", printable(nearest)),
        None if seen.is_empty() => "; no client's certificate was seen at all".to_owned(),
        None => String::new(),
    };
    Some(format!(
        "warning: no certificate with `{}` was seen yet{hint}",
        printable(&shown)
    ))
}

/// Every subject alternative name of the certificates that were let through.
async fn seen(client: &Client) -> Result<BTreeSet<String>, countersign_client::Error> {
    let mut names = BTreeSet::new();
    let certificates = client.certificates();
    let anchors: Vec<_> = certificates
        .stream(&Scope::Organization, &ListParams::default())
        .try_collect()
        .await?;
    for anchor in anchors {
        let uses = certificates.stream_uses(&anchor.id, &ListParams::default());
        let mut uses = uses.take(MAX_LOOKED_AT);
        while let Some(each) = uses.try_next().await? {
            names.extend(each.leaf.subject_alt_names.iter().cloned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_types::denial::SubjectAltNameType;

    #[test]
    fn a_name_that_nobody_has_is_told_with_its_nearest() {
        let name = |value: &str| SubjectAltName {
            kind: SubjectAltNameType::Dns,
            value: value.to_owned(),
            oid: None,
        };
        let seen = ["DNS:Worker.example.com", "DNS:db.example.net"];
        let seen: BTreeSet<String> = seen.map(str::to_owned).into();
        assert_eq!(warning(&name("worker.example.com"), &seen), None);
        let near = warning(&name("wroker.example.com"), &seen).unwrap();
        assert!(
            near.contains("nearest that was is `DNS:Worker.example.com`"),
            "{near}"
        );
        let none = warning(&name("worker.example.com"), &BTreeSet::new()).unwrap();
        assert!(none.contains("no client's certificate was seen"), "{none}");
    }
}
