//! What a gateway does about answers that are lost, and about those that only take long.

use std::{collections::HashSet, time::Duration};

use countersign_types::history::HistoryPoint;

use super::{CLOCK, Gateway, SECOND, STEP, Server, server};
use crate::sync::messages::{Failure, Input};

/// How long it takes until what is in force is the server's.
#[track_caller]
fn time_to_follow(gateway: &mut Gateway, server: &Server) -> Duration {
    let begun = gateway.now;
    while gateway.in_force != server.state() {
        gateway.step(server);
        assert!(gateway.now < begun + 600 * SECOND, "it never follows");
    }
    gateway.now - begun
}

#[test]
fn silence_costs_ten_seconds_at_most_while_new_connections_work() {
    let mut worst = Duration::ZERO;
    for silent_after in 0..60 {
        for changed_after in [0, 1, 20, 60, 100, 140] {
            let mut server = server(&["a"]);
            let mut gateway = Gateway::start(None);
            gateway.run(&server, SECOND + STEP * silent_after * 2);
            gateway.silent_before = gateway.connection + 1;
            gateway.run(&server, STEP * changed_after);
            server.commit("a");
            worst = worst.max(time_to_follow(&mut gateway, &server));
        }
    }
    assert!(worst < 9 * SECOND, "{worst:?}");
}

#[test]
fn a_change_takes_ten_seconds_at_most_however_many_answers_were_lost_before() {
    let mut worst = Duration::ZERO;
    for lost in 1..40 {
        for changed_after in [0, 1, 20, 60, 100, 140] {
            let mut server = server(&["a"]);
            let mut gateway = Gateway::start(None);
            gateway.run(&server, SECOND);
            gateway.losing = lost;
            while gateway.losing > 0 {
                gateway.step(&server);
            }
            // The answer to the pull that was sent just now is the last that is lost.
            gateway.run(&server, STEP * changed_after);
            server.commit("a");
            worst = worst.max(time_to_follow(&mut gateway, &server));
        }
    }
    assert!(worst < 9 * SECOND, "{worst:?}");
}

#[test]
fn what_a_silent_control_plane_is_asked_is_bounded() {
    let server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.silent_before = usize::MAX;
    let first = gateway.pulls.len();
    // That at most two are under way is held by every test.
    for minute in 0..10 {
        let before = gateway.pulls.len();
        gateway.run(&server, 60 * SECOND);
        let asked = gateway.pulls.len() - before;
        assert!((11..=20).contains(&asked), "{asked} in minute {minute}");
    }
    let asked = &gateway.pulls[first..];
    assert!(asked.iter().all(|pull| pull.wait.is_zero()));
    // Each that is kept is waited for longer than the one before, and in the end for a minute.
    let kept: HashSet<_> = asked.iter().filter_map(|pull| pull.beside).collect();
    assert!((10..=15).contains(&kept.len()), "{} kept", kept.len());
    // Once there is an answer, silence is taken for a loss again.
    gateway.silent_before = 0;
    gateway.run(&server, 10 * SECOND);
    gateway.silent_before = usize::MAX;
    let latest = gateway.pulls.len();
    gateway.run(&server, 30 * SECOND);
    let kept = gateway.pulls[latest..].iter();
    let kept: HashSet<_> = kept.filter_map(|pull| pull.beside).collect();
    assert!(kept.len() >= 2, "{} kept", kept.len());
}

#[test]
fn an_answer_that_takes_long_to_begin_arrives_all_the_same() {
    for begins_after in [1, 4, 8, 10, 20, 30, 45, 58] {
        for arrives_for in [0, 1, 100] {
            let mut server = server(&["a"]);
            let mut gateway = Gateway::start(None);
            gateway.run(&server, SECOND);
            gateway.begins_after = begins_after * SECOND;
            gateway.arrives_for = arrives_for * SECOND;
            server.commit("a");
            let took = time_to_follow(&mut gateway, &server);
            let limit = (3 * begins_after + arrives_for + 5) * SECOND;
            assert!(took <= limit, "{begins_after} s, {arrives_for} s: {took:?}");
            (gateway.begins_after, gateway.arrives_for) = (Duration::ZERO, Duration::ZERO);
            gateway.run(&server, 10 * SECOND);
            gateway.assert_follows(&server);
        }
    }
}

#[test]
fn while_an_answer_is_arriving_nothing_is_asked_beside_it() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.begins_after = 8 * SECOND;
    gateway.arrives_for = 300 * SECOND;
    server.commit("a");
    gateway.run(&server, 9 * SECOND);
    let before = gateway.pulls.len();
    gateway.run(&server, 200 * SECOND);
    assert_eq!(gateway.pulls.len(), before);
    // The rest of it is lost: that is silence again.
    gateway.silent_before = gateway.connection;
    (gateway.begins_after, gateway.arrives_for) = (Duration::ZERO, Duration::ZERO);
    let took = time_to_follow(&mut gateway, &server);
    assert!(took <= 5 * SECOND, "{took:?}");
}

#[test]
fn an_answer_to_an_earlier_pull_undoes_nothing() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.silent_before = usize::MAX;
    gateway.run(&server, 10 * SECOND);
    let [kept, latest] = &gateway.asked[..] else {
        panic!("{} under way", gateway.asked.len());
    };
    let (kept, after) = (kept.what.number, latest.what.after);
    assert_eq!(latest.what.beside, Some(kept));
    server.commit("a");
    let older = server.answer(after);
    server.commit("a");
    gateway.answered(server.answer(after));
    assert_eq!(gateway.in_force, server.state());
    let (asked, contact) = (gateway.pulls.len(), gateway.contact);
    gateway.now += 2 * SECOND;
    gateway.on(Input::Pulled(kept, older));
    gateway.on(Input::Arriving(kept));
    gateway.on(Input::PullFailed(kept, Failure::Unreachable));
    assert_eq!(gateway.in_force, server.state());
    assert_eq!(gateway.contact, contact);
    // What it waits for is its threads, and nothing else.
    assert!(gateway.pulls.len() <= asked + 1);
    assert_eq!(gateway.pulls.last().unwrap().after, server.point());
    gateway.silent_before = 0;
    gateway.run(&server, 10 * SECOND);
    gateway.assert_follows(&server);
}

#[test]
fn a_kept_pull_that_fails_says_nothing_of_the_latest() {
    let server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, SECOND);
    gateway.silent_before = usize::MAX;
    gateway.run(&server, 10 * SECOND);
    let kept = gateway.asked[0].what.number;
    let before = (gateway.pulls.len(), gateway.connection);
    gateway.on(Input::PullFailed(kept, Failure::Unreachable));
    gateway.now += STEP;
    gateway.on(Input::Time);
    assert_eq!((gateway.pulls.len(), gateway.connection), before);
    // Its place is free for the next that is silent.
    gateway.run(&server, 5 * SECOND);
    let beside = gateway.pulls.last().unwrap().beside;
    assert!(beside.is_some_and(|number| number > kept), "{beside:?}");
}

#[test]
fn an_answer_that_was_long_under_way_is_as_old_as_its_question() {
    let mut server = server(&["a"]);
    let mut gateway = Gateway::start(None);
    gateway.run(&server, 30 * SECOND);
    let age = |gateway: &Gateway| CLOCK + gateway.now.as_secs() - gateway.contact;
    assert!(age(&gateway) <= 5, "{}", age(&gateway));
    gateway.begins_after = 20 * SECOND;
    server.commit("a");
    time_to_follow(&mut gateway, &server);
    let answered = age(&gateway);
    assert!((19..=21).contains(&answered), "{answered}");
}

#[test]
fn what_was_found_on_disk_may_be_out_of_date_and_nothing_may_not() {
    let before = server(&["a"]);
    let mut changed = before.clone();
    changed.commit("a");
    // As another version left it: everything is asked for again.
    let left = Some((HistoryPoint::START, before.state()));
    for (found, within) in [(left, 4 * SECOND), (None, 31 * SECOND)] {
        let mut gateway = Gateway::start(found);
        gateway.silent_before = gateway.connection + 1;
        let took = time_to_follow(&mut gateway, &changed);
        assert!(
            took <= within && took >= within - 2 * SECOND,
            "{within:?}: {took:?}"
        );
    }
}
