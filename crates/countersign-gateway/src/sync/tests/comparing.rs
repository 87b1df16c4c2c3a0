//! What a gateway does about what the digests say: it mends what is wrong, and only that.

use std::collections::HashSet;

use countersign_types::digest::Sha256;

use super::{Comparison, Gateway, SECOND, STEP, Server, id, server};
use crate::sync::{
    machine::WAIT,
    messages::{Event, Failure, Input},
};

#[test]
fn a_difference_without_a_change_is_found_fetched_and_reported() {
    let mut names: Vec<String> = (0..120).map(|number| format!("n{number:03}")).collect();
    names.push("right".to_owned());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = server(&names);
    let mut wrong = server.state();
    wrong.insert(id("n000"), Some(Sha256::of("of old")));
    wrong.insert(id("stray"), Some(Sha256::of("of nobody")));
    for name in &names[1..120] {
        wrong.remove(&id(name));
    }
    let mut gateway = Gateway::start(Some((server.point(), wrong)));
    gateway.run(&server, 15 * SECOND);
    gateway.assert_follows(&server);
    assert!(!gateway.events.contains(&Event::ThreadLate(true)));
    let reconciled: HashSet<_> = gateway.reconciled().into_iter().collect();
    assert_eq!(reconciled.len(), 121);
    assert!(reconciled.contains(&id("stray")) && !reconciled.contains(&id("right")));
    // An hour later, give or take a tenth, it looks again, and finds nothing.
    let events = gateway.events.len();
    gateway.run(&server, 53 * 60 * SECOND);
    assert_eq!(gateway.compared, 1);
    gateway.run(&server, 14 * 60 * SECOND);
    assert_eq!((gateway.compared, gateway.events.len()), (2, events));
}

#[test]
fn an_organization_that_is_no_more_is_given_up_by_a_comparison() {
    let server = server(&["a"]);
    let mut wrong = server.state();
    wrong.insert(id("stray"), Some(Sha256::of("of nobody")));
    let mut gateway = Gateway::start(Some((server.point(), wrong)));
    gateway.run(&server, 15 * SECOND);
    gateway.assert_follows(&server);
    assert_eq!(gateway.reconciled(), [id("stray")]);
}

#[test]
fn what_changes_during_a_comparison_is_not_taken_for_wrong() {
    let mut server = server(&["a", "b"]);
    let mut gateway = Gateway::start(None);
    for _ in 0..400 {
        gateway.step(&server);
        server.commit("a");
        if server.drawn.is_multiple_of(7) {
            server.commit("b");
        }
    }
    gateway.run(&server, SECOND);
    gateway.assert_follows(&server);
    assert!(gateway.reconciled().is_empty());
}

#[test]
fn a_comparison_that_fails_is_made_again() {
    let server = server(&["a"]);
    let mut wrong = server.state();
    wrong.clear();
    let mut gateway = Gateway::start(Some((server.point(), wrong)));
    gateway.step(&server);
    gateway.comparison = None;
    gateway.on(Input::ComparisonFailed(Failure::Silence));
    gateway.run(&server, 290 * SECOND);
    assert!(gateway.in_force.is_empty());
    gateway.run(&server, 30 * SECOND);
    gateway.assert_follows(&server);
}

/// Lets pulls be answered until what the comparison asked for is still to be answered.
fn run_until_asked(gateway: &mut Gateway, server: &Server, asked: impl Fn(&Comparison) -> bool) {
    let is_asked = |gateway: &Gateway| {
        let sent = gateway.comparison.as_ref();
        sent.is_some_and(|sent| asked(&sent.what))
    };
    for _ in 0..1_000 {
        if is_asked(gateway) {
            return;
        }
        gateway.step_comparison(server);
        gateway.now += STEP;
        gateway.on(Input::Time);
        gateway.step_pull(server);
        if let Some(generation) = gateway.machine.awaited() {
            gateway.on(Input::Enforced(generation));
        }
    }
    panic!("it never asked");
}

#[test]
fn what_was_fetched_does_not_replace_what_a_pull_brought_since() {
    let mut server = server(&["a"]);
    let mut wrong = server.state();
    wrong.insert(id("a"), Some(Sha256::of("of old")));
    wrong.insert(id("b"), Some(Sha256::of("of nobody")));
    let mut gateway = Gateway::start(Some((server.point(), wrong)));
    let fetches = |what: &Comparison| matches!(what, Comparison::Fetch(ids) if ids.len() == 2);
    run_until_asked(&mut gateway, &server, fetches);
    let before = server.clone();
    server.commit("a");
    server.commit("b");
    gateway.step_pull(&server);
    assert_eq!(gateway.in_force, server.state());
    gateway.step_comparison(&before);
    assert_eq!(gateway.in_force, server.state());
    assert!(gateway.reconciled().is_empty());
}

#[test]
fn what_the_digests_know_before_a_pull_brings_it_is_not_taken_for_wrong() {
    let mut server = server(&["a", "b"]);
    let mut gateway = Gateway::start(Some((server.point(), server.state())));
    let digests = |what: &Comparison| matches!(what, Comparison::Digests(_));
    run_until_asked(&mut gateway, &server, digests);
    let before = server.clone();
    server.commit("a");
    gateway.step_comparison(&server);
    // The pull that was under way then was answered before the change.
    gateway.now += WAIT;
    gateway.step_pull(&before);
    assert!(gateway.comparison.is_none(), "it waits for the next pull");
    gateway.step_pull(&server);
    assert_eq!(gateway.in_force, server.state());
    gateway.run(&server, 10 * SECOND);
    assert!(gateway.comparison.is_none() && gateway.reconciled().is_empty());
}

#[test]
fn what_was_fetched_is_not_undone_by_a_pull_that_was_sent_before() {
    let mut server = server(&["a"]);
    let mut wrong = server.state();
    wrong.insert(id("a"), Some(Sha256::of("of old")));
    let mut gateway = Gateway::start(Some((server.point(), wrong)));
    let fetches = |what: &Comparison| matches!(what, Comparison::Fetch(_));
    run_until_asked(&mut gateway, &server, fetches);
    let pull = gateway.asked.last().unwrap().what;
    server.commit("a");
    let older = server.answer(pull.after);
    server.commit("a");
    gateway.step_comparison(&server);
    assert_eq!(gateway.in_force, server.state());
    gateway.on(Input::Pulled(pull.number, older));
    assert_eq!(gateway.in_force, server.state());
    gateway.run(&server, 10 * SECOND);
    gateway.assert_follows(&server);
}

#[test]
fn a_pull_that_was_sent_before_the_digests_confirms_nothing() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(Some((server.point(), server.state())));
    let digests = |what: &Comparison| matches!(what, Comparison::Digests(_));
    run_until_asked(&mut gateway, &server, digests);
    let pull = gateway.asked.last().unwrap().what;
    let nothing_new = server.answer(pull.after);
    server.commit("a");
    gateway.step_comparison(&server);
    gateway.silent_before = usize::MAX;
    while gateway.pulls.last().unwrap().number == pull.number {
        gateway.step(&server);
    }
    gateway.on(Input::Pulled(pull.number, nothing_new));
    assert!(gateway.comparison.is_none(), "it waits for the next pull");
    gateway.silent_before = 0;
    gateway.run(&server, 10 * SECOND);
    gateway.assert_follows(&server);
    assert!(gateway.reconciled().is_empty());
}
