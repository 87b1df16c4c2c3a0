//! What a gateway does when the control plane, the network, its threads or its disk fail it.

use countersign_types::{
    bundle::Bundle,
    history::{HistoryPoint, RevisionToken},
};

use super::{CLOCK, Gateway, SECOND, Server, server};
use crate::sync::{
    machine::WAIT,
    messages::{Event, Input, Report, Rows},
};

#[test]
fn a_change_is_in_force_and_on_disk_before_it_is_reported() {
    let mut server = server(&["a", "b"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
    assert_eq!(gateway.events, [Event::Started]);
    let before = server.point();
    server.commit("a");
    gateway.disk_stuck = true;
    gateway.run(&server, SECOND / 2);
    assert_eq!(gateway.in_force, server.state());
    assert_eq!(gateway.reported(), Some((before, Report::Durable)));
    gateway.disk_stuck = false;
    gateway.run(&server, SECOND / 2);
    gateway.assert_follows(&server);
}

#[test]
fn a_lost_history_is_replaced_whole_wherever_the_new_one_stands() {
    // By how many changes the new history falls short of the old one, or overtakes it.
    for changes in [0, 1, 4, 5, 6, 20] {
        let mut server = server(&["a", "b", "c"]);
        let backup = server.clone();
        let mut gateway = Gateway::start(None);
        // What the new history does not have: of an organization that it has, and one that it has not.
        for name in ["a", "gone", "a", "gone", "a"] {
            server.commit(name);
        }
        gateway.run(&server, SECOND);
        gateway.assert_follows(&server);
        server.restore(&backup);
        for _ in 0..changes {
            server.commit("b");
        }
        gateway.run(&server, SECOND);
        gateway.assert_follows(&server);
        assert!(gateway.reconciled().is_empty());
    }
}

#[test]
fn a_restart_begins_with_the_disk_and_asks_only_what_changed() {
    let mut server = server(&["a", "b"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    server.commit("b");
    let mut gateway = Gateway::start(gateway.disk);
    assert_eq!(gateway.pulls[0].after.revision, 2);
    assert!(gateway.pulls[0].wait.is_zero());
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);

    // Of another deployment, or another history.
    let mut other = Server {
        drawn: 1000,
        ..Server::default()
    };
    other.commit("x");
    let mut gateway = Gateway::start(gateway.disk);
    gateway.run(&other, SECOND);
    gateway.assert_follows(&other);
}

#[test]
fn a_failure_is_answered_by_new_connections_and_a_question_that_does_not_wait() {
    let server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.refusing = true;
    let before = (gateway.pulls.len(), gateway.connection);
    gateway.run(&server, 60 * SECOND);
    let tries = &gateway.pulls[before.0 + 1..];
    assert!((25..=90).contains(&tries.len()), "{}", tries.len());
    assert!(tries.iter().all(|pull| pull.wait.is_zero()));
    assert!(gateway.connection - before.1 >= tries.len());
    gateway.refusing = false;
    gateway.run(&server, 10 * SECOND);
    assert_eq!(gateway.pulls.last().unwrap().wait, WAIT);
}

#[test]
fn contact_that_is_lost_and_back_is_reported_once() {
    let server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    let contact = gateway.contact;
    gateway.refusing = true;
    gateway.run(&server, 30 * SECOND);
    assert_eq!(gateway.events, [Event::Started, Event::ContactLost]);
    assert_eq!(gateway.contact, contact);
    gateway.refusing = false;
    gateway.run(&server, 5 * SECOND);
    let [_, _, Event::ContactBack(silence)] = &gateway.events[..] else {
        panic!("{:?}", gateway.events);
    };
    assert!(*silence >= 29 * SECOND, "{silence:?}");
    assert!(gateway.contact > contact);
}

#[test]
fn a_gateway_that_never_had_an_answer_says_so_and_has_no_contact() {
    let mut gateway = Gateway::start(None);
    gateway.refusing = true;
    gateway.run(&Server::default(), 20 * SECOND);
    assert_eq!(gateway.events, [Event::ContactLost]);
    assert_eq!(gateway.contact, 0);
}

#[test]
fn what_a_thread_does_not_enforce_is_not_reported_and_changes_go_on() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    let before = gateway.reported();
    gateway.threads_stuck = true;
    server.commit("a");
    gateway.run(&server, 30 * SECOND);
    server.commit("a");
    gateway.run(&server, 3 * SECOND);
    assert_eq!(gateway.in_force, server.state());
    assert_eq!(gateway.reported(), before);
    assert_eq!(gateway.events.last(), Some(&Event::ThreadLate(true)));
    gateway.threads_stuck = false;
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
    assert_eq!(gateway.events.last(), Some(&Event::ThreadLate(false)));
}

#[test]
fn what_cannot_be_written_is_reported_as_such_until_it_can() {
    let mut server = server(&["a", "b"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.disk_full = true;
    server.commit("a");
    gateway.run(&server, 2 * SECOND);
    assert_eq!(gateway.in_force, server.state());
    assert_eq!(gateway.disk, None);
    assert_eq!(gateway.reported(), Some((server.point(), Report::Enforced)));
    assert_eq!(gateway.events.last(), Some(&Event::Durable(false)));
    gateway.disk_full = false;
    gateway.run(&server, 10 * SECOND);
    gateway.assert_follows(&server);
    assert_eq!(gateway.events.last(), Some(&Event::Durable(true)));
}

#[test]
fn a_disk_that_hangs_holds_up_no_change() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.disk_stuck = true;
    for name in ["a", "b", "a"] {
        server.commit(name);
        gateway.run(&server, 2 * SECOND);
        assert_eq!(gateway.in_force, server.state());
        assert_eq!(gateway.reported(), Some((server.point(), Report::Enforced)));
    }
    gateway.disk_stuck = false;
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
}

#[test]
fn what_changes_during_a_write_is_written_after_it_and_nothing_else() {
    let mut server = server(&["a", "b", "c"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.disk_stuck = true;
    for name in ["a", "b", "c", "b"] {
        server.commit(name);
        gateway.run(&server, SECOND);
    }
    let under_way = gateway.writing.take().unwrap();
    gateway.write(under_way);
    let next = gateway.writing.as_ref().map(|write| write.rows.clone());
    let Some(Rows::Some { changed, .. }) = next else {
        panic!("{next:?}");
    };
    assert_eq!(changed.len(), 2, "each once: {changed:?}");
    gateway.disk_stuck = false;
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
}

#[test]
fn a_write_that_hangs_is_not_done_when_the_time_of_contact_is_due() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.disk_stuck = true;
    server.commit("a");
    gateway.run(&server, 70 * SECOND);
    let written = gateway.writing.as_ref().map(|write| write.rows.clone());
    assert!(matches!(written, Some(Rows::Some { .. })), "{written:?}");
    assert_eq!(gateway.reported(), Some((server.point(), Report::Enforced)));
    gateway.disk_stuck = false;
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
}

#[test]
fn contact_alone_is_written_once_a_minute() {
    let server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.disk_stuck = true;
    gateway.run(&server, 58 * SECOND);
    assert_eq!(gateway.writing, None);
    gateway.run(&server, 10 * SECOND);
    let written = gateway.writing.clone().unwrap();
    assert_eq!(written.rows, Rows::None);
    assert!(written.contact >= CLOCK + 60);
    // It is still true that a restart would begin with what is in force.
    assert_eq!(gateway.reported(), Some((server.point(), Report::Durable)));
}

#[test]
fn everything_is_fetched_from_a_server_without_tokens_that_goes_back() {
    let mut gateway = Gateway::start(None);
    let bundle = |revision, complete| Bundle {
        revision,
        token: RevisionToken::NONE,
        complete,
        organizations: Vec::new(),
        next: None,
    };
    gateway.answered(bundle(7, true));
    gateway.on(Input::Enforced(1));
    let write = gateway.writing.take().unwrap();
    gateway.write(write);
    assert_eq!(gateway.pulls.last().unwrap().after.revision, 7);
    let contact = gateway.contact;
    gateway.now += SECOND;
    gateway.answered(bundle(3, false));
    assert_eq!(gateway.pulls.last().unwrap().after, HistoryPoint::START);
    assert_eq!(gateway.contact, contact);
}

#[test]
fn a_write_that_is_tried_again_keeps_the_time_of_the_last_answer() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.disk_full = true;
    server.commit("a");
    gateway.run(&server, SECOND / 2);
    (gateway.refusing, gateway.disk_full, gateway.disk_stuck) = (true, false, true);
    gateway.run(&server, 70 * SECOND);
    let write = gateway.writing.as_ref().unwrap();
    assert_eq!((&write.rows, write.point), (&Rows::All, server.point()));
    assert_eq!(write.contact, gateway.contact);
    assert!(write.contact < CLOCK + 10, "nobody answered since");
}
