//! The writes that are measured. Each is answered only once it is on the disk.

use serde_json::{Value, json};

use crate::{
    bench::{
        dataset::{EMPTY_ORGANIZATIONS, PER_ORGANIZATION, admin_key},
        load::{CONNECTIONS, Requests, ask, request},
        reads::Store,
        sampling::{Effort, Measured, Subject, measure, measure_once},
    },
    process::Outcome,
};

/// Uploads, in rounds, filling organizations that were empty.
pub(crate) fn uploads(
    store: &Store,
    pem: &str,
    per_round: usize,
    rounds: usize,
) -> Outcome<Measured> {
    let body = json!({ "certificate": pem, "name": "upload" }).to_string();
    let organizations = per_round.div_ceil(PER_ORGANIZATION);
    if organizations * rounds + CONNECTIONS > EMPTY_ORGANIZATIONS {
        return Err("there are not enough empty organizations for that many uploads".into());
    }
    let first = store.dataset.organizations();
    let subjects = (0..rounds).map(|round| {
        // Neighbours in time go to different organizations.
        let requests = (0..per_round).map(|turn| {
            let organization = first + round * organizations + turn % organizations;
            request("POST", UPLOAD, &admin_key(organization), &body)
        });
        subject(
            store,
            "uploadCertificate",
            Requests::new(requests.collect()),
        )
    });
    measure_once(&subjects.collect::<Vec<_>>())
}

/// Activations and deactivations in turn, so that each changes something.
pub(crate) fn activations(store: &Store, pem: &str, effort: Effort) -> Outcome<Vec<Measured>> {
    let body = json!({ "certificate": pem }).to_string();
    let first = store.dataset.organizations() + EMPTY_ORGANIZATIONS - CONNECTIONS;
    let mut toggled = Vec::new();
    for organization in first..first + CONNECTIONS {
        let key = admin_key(organization);
        let answer = ask(store.server.address, &request("POST", UPLOAD, &key, &body))?;
        let made: Value = serde_json::from_slice(&answer)?;
        let ids = json!({ "certificate_ids": [made.get("id").ok_or("an upload without an id")?] });
        toggled.push((key, ids.to_string()));
    }
    // One organization for each connection: what one does never undoes another.
    let requests = ["activate", "deactivate"].iter().flat_map(|verb| {
        let path = format!("{UPLOAD}/{verb}");
        toggled
            .iter()
            .map(move |(key, ids)| request("POST", &path, key, ids))
    });
    let requests = Requests::new(requests.collect());
    measure(&[subject(store, "activate / deactivate", requests)], effort)
}

const UPLOAD: &str = "/v1/organization/certificates";

fn subject<'a>(store: &'a Store, operation: &'static str, requests: Requests) -> Subject<'a> {
    Subject {
        name: store.name(),
        operation,
        certificates: store.dataset.certificates,
        server: &store.server,
        database: store.database,
        requests,
    }
}
