//! What is measured: every read, of every store and every peer.

use crate::{
    bench::{
        load::Requests,
        peers::Peers,
        reads::{GET, LIST, Store, gets, lists},
        sampling::Subject,
        server::Server,
    },
    process::Outcome,
};

/// What the peers are called in the results.
pub(crate) const BARE: &str = "bare axum handler";
pub(crate) const PRISM: &str = "Stoplight Prism";

/// Every server with every operation.
pub(crate) fn subjects<'a>(stores: &'a [Store], peers: &'a Peers) -> Outcome<Vec<Subject<'a>>> {
    let few = &stores.first().ok_or("no store was made")?.dataset;
    let mut subjects = vec![
        peer(BARE, GET, &peers.bare_get, gets(few, "/v1")),
        peer(BARE, LIST, &peers.bare_list, lists(few, "/v1")),
    ];
    if let Some((prism, base)) = &peers.prism {
        subjects.push(peer(PRISM, GET, prism, gets(few, base)));
        subjects.push(peer(PRISM, LIST, prism, lists(few, base)));
    }
    for store in stores {
        let requests = [
            (GET, gets(&store.dataset, "/v1")),
            (LIST, lists(&store.dataset, "/v1")),
        ];
        for (operation, requests) in requests {
            subjects.push(Subject {
                name: store.name(),
                certificates: store.dataset.certificates,
                database: store.database,
                ..peer("", operation, &store.server, requests)
            });
        }
    }
    Ok(subjects)
}

fn peer<'a>(
    name: &str,
    operation: &'static str,
    server: &'a Server,
    requests: Requests,
) -> Subject<'a> {
    Subject {
        name: name.to_owned(),
        operation,
        certificates: 0,
        server,
        database: None,
        requests,
    }
}
