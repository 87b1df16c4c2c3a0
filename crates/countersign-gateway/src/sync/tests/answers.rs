//! What an answer does when it names no organization, or comes to what was found on disk.

use countersign_types::{bundle::Bundle, history::RevisionToken};

use super::{Gateway, SECOND, Server, server};
use crate::sync::messages::Event;

/// Another history, at the same revision.
fn another(server: &Server) -> Server {
    let mut another = Server {
        drawn: 1000,
        ..Server::default()
    };
    while another.point().revision < server.point().revision {
        another.commit("other");
    }
    another
}

#[test]
fn an_answer_without_organizations_still_leads_to_its_point() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    let mut point = server.point();
    point.revision += 1;
    point.token = RevisionToken::from_random(77);
    server.history.push(point);
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
}

#[test]
fn a_complete_answer_without_organizations_leaves_none() {
    let before = server(&["a", "b"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&before, SECOND);
    let mut emptied = another(&before);
    emptied.organizations.clear();
    gateway.run(&emptied, SECOND);
    gateway.assert_follows(&emptied);
    assert!(gateway.in_force.is_empty());
}

#[test]
fn a_complete_answer_replaces_what_is_in_force_at_the_very_point() {
    let server = server(&["a", "b"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    let point = server.point();
    gateway.answered(Bundle {
        revision: point.revision,
        token: point.token,
        complete: true,
        organizations: Vec::new(),
        next: None,
    });
    assert!(gateway.in_force.is_empty());
}

#[test]
fn organizations_that_come_with_the_point_in_force_are_enforced() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    let point = server.point();
    server.commit("b");
    let mut bundle = server.answer(point);
    (bundle.revision, bundle.token) = (point.revision, point.token);
    gateway.answered(bundle);
    assert_eq!(gateway.in_force, server.state());
}

#[test]
fn what_is_found_on_disk_has_no_contact_until_an_answer_confirms_it() {
    let server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    let mut again = Gateway::start(gateway.disk);
    assert_eq!(again.in_force, server.state());
    again.refusing = true;
    again.run(&server, 5 * SECOND);
    assert_eq!(again.contact, 0);
    assert!(!again.events.contains(&Event::Started));
    again.refusing = false;
    again.run(&server, 5 * SECOND);
    assert!(again.contact > 0 && again.events.contains(&Event::Started));
    assert_eq!(again.generation, 0, "nothing new was put in force");
}
