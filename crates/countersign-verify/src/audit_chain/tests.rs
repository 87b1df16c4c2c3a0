use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Events 1 to `count`, newest first.
fn chain(count: u64) -> Vec<Map<String, Value>> {
    let mut events = Vec::new();
    let mut previous = GENESIS.to_owned();
    for number in 1..=count {
        let event = json!({
            "id": format!("audit_log-{number}"),
            "type": "project.created",
            "effective_at": 1_800_000_000 + number,
            "project.created": { "data": { "name": "é \" \\ \u{1} 😀" } },
            "chain": { "number": number, "previous_sha256": previous },
        });
        let Value::Object(mut event) = event else {
            unreachable!()
        };
        state(&mut event);
        previous = event["chain"]["sha256"].as_str().unwrap().to_owned();
        events.push(event);
    }
    events.reverse();
    events
}

/// Makes an event state the hash that it has.
fn state(event: &mut Map<String, Value>) {
    let sha256 = event_sha256(event);
    event["chain"]["sha256"] = json!(sha256);
}

fn number(event: &Map<String, Value>) -> u64 {
    event["chain"]["number"].as_u64().unwrap()
}

fn place(number: u64) -> EventPosition {
    let id = format!("audit_log-{number}");
    EventPosition { number, id }
}

fn walk(events: &[Map<String, Value>], heads: Vec<KeptHead>) -> Vec<ChainFault> {
    let mut walk = ChainWalk::new(heads);
    events.iter().for_each(|event| walk.step(event));
    walk.finish(1)
}

/// The head as a server states it.
fn head(events: &[Map<String, Value>]) -> Vec<KeptHead> {
    vec![KeptHead {
        number: Some(number(&events[0])),
        sha256: events[0]["chain"]["sha256"].as_str().unwrap().to_owned(),
    }]
}

/// Computed by Python's `json` and `hashlib`; the form is for ever.
#[test]
fn the_form_does_not_change() {
    let event = json!({
        "type": "x",
        "\u{10000}": 1,
        "\u{e000}": [true, null, -3, 9_007_199_254_740_991_u64],
        "id": "é\u{7f}\u{1f}\n\"\\/",
        "chain": { "sha256": "whatever", "previous_sha256": GENESIS, "number": 1 },
    });
    let mut text = String::new();
    write_canonical(&event, &mut text);
    assert_eq!(
        text,
        format!(
            "{{\"chain\":{{\"number\":1,\"previous_sha256\":\"{GENESIS}\",\"sha256\":\"whatever\"}},\
             \"id\":\"é\u{7f}\\u001f\\n\\\"\\\\/\",\"type\":\"x\",\"\u{10000}\":1,\
             \"\u{e000}\":[true,null,-3,9007199254740991]}}"
        )
    );
    let simple = json!({ "id": "a", "chain": { "number": 1, "previous_sha256": GENESIS } });
    assert_eq!(
        event_sha256(simple.as_object().unwrap()).to_string(),
        "3096b772a8142a68bca0f53ad16e092842afc9ce7175704c2658eb4e0be4aabc"
    );
}

#[test]
fn a_whole_chain_is_whole() {
    let events = chain(5);
    assert_eq!(walk(&events, head(&events)), []);
    let older = KeptHead {
        number: None,
        sha256: events[3]["chain"]["sha256"].as_str().unwrap().to_owned(),
    };
    assert_eq!(walk(&events, vec![older]), []);
}

#[test]
fn a_change_is_found_and_named() {
    let mut events = chain(5);
    let heads = head(&events);
    events[2].insert("effective_at".to_owned(), json!(7));
    let sha256 = event_sha256(&events[2]).to_string();
    let event = place(3);
    assert_eq!(
        walk(&events, heads.clone()),
        [ChainFault::Edited { event, sha256 }]
    );
    // Its own hash made to fit, the next still names the old one.
    let named_sha256 = events[2]["chain"]["sha256"].as_str().unwrap().to_owned();
    state(&mut events[2]);
    let (event, newer) = (place(3), place(4));
    let replaced = ChainFault::Replaced {
        event,
        newer,
        named_sha256,
    };
    assert_eq!(walk(&events, heads), [replaced]);
}

#[test]
fn a_removal_is_found_and_named() {
    for (gone, from, to, newer, older) in [
        (2..3, 3, 3, Some(4), Some(2)),
        (1..4, 2, 4, Some(5), Some(1)),
        (3..5, 1, 2, Some(3), None),
        (0..2, 4, 5, None, Some(3)),
    ] {
        let mut events = chain(5);
        let heads = head(&events);
        events.drain(gone);
        let (newer, older) = (newer.map(place), older.map(place));
        let missing = ChainFault::Missing {
            from,
            to,
            newer,
            older,
        };
        assert_eq!(walk(&events, heads), [missing]);
    }
}

#[test]
fn another_order_is_found_and_named() {
    let mut events = chain(6);
    let heads = head(&events);
    events.swap(1, 3);
    let out = |number, newer| ChainFault::OutOfOrder {
        event: place(number),
        newer: place(newer),
    };
    assert_eq!(walk(&events, heads), [out(4, 3), out(5, 3)]);
}

#[test]
fn an_insertion_is_found_and_named() {
    let whole = chain(5);
    let forged = |number: u64| {
        let mut event = whole[usize::try_from(5 - number).unwrap()].clone();
        event["id"] = json!("audit_log-forged");
        state(&mut event);
        event
    };
    for number in 1..=5 {
        let index = usize::try_from(5 - number).unwrap();
        for (at, fit) in [(index, true), (index + 1, true), (index, false)] {
            let mut events = whole.clone();
            let mut event = forged(number);
            if !fit {
                event["chain"] = whole[index]["chain"].clone();
            }
            events.insert(at, event);
            let id = "audit_log-forged".to_owned();
            let event = EventPosition { number, id };
            let inserted = ChainFault::Inserted { event };
            assert_eq!(walk(&events, head(&whole)), [inserted], "{number} at {at}");
        }
    }
    for chain in [
        json!(null),
        json!({ "number": 0 }),
        json!({ "number": 1.5 }),
    ] {
        let mut events = whole.clone();
        let mut event = forged(3);
        event["chain"] = chain;
        events.insert(1, event);
        let id = "audit_log-forged".to_owned();
        let newer = Some(place(5));
        let unchained = ChainFault::Unchained { id, newer };
        assert_eq!(walk(&events, head(&whole)), [unchained]);
    }
}

#[test]
fn a_rebuilt_log_is_detected_by_a_kept_head() {
    let events = chain(5);
    let mut kept = head(&events);
    kept[0].sha256 = GENESIS.to_owned();
    let (event, kept_sha256) = (place(5), GENESIS.to_owned());
    assert_eq!(
        walk(&events, kept.clone()),
        [ChainFault::Rewritten { event, kept_sha256 }]
    );
    kept[0].number = None;
    let kept_sha256 = GENESIS.to_owned();
    assert_eq!(
        walk(&events, kept),
        [ChainFault::HeadNotFound { kept_sha256 }]
    );
    let mut events = chain(2);
    events[1]["chain"]["previous_sha256"] = events[0]["chain"]["sha256"].clone();
    state(&mut events[1]);
    let event = place(1);
    let found = walk(&events, Vec::new());
    assert!(
        found.contains(&ChainFault::NoBeginning { event }),
        "{found:?}"
    );
}

proptest! {
    /// Whatever is removed, changed, moved or added, with hashes made to fit or not, is found.
    #[test]
    fn no_tampering_passes(
        acts in proptest::collection::vec((0..5_u8, 0..12_usize, 0..12_usize, any::<bool>()), 1..4),
    ) {
        let whole = chain(12);
        let mut events = whole.clone();
        for (act, one, other, fit) in acts {
            let last = events.len() - 1;
            let (one, other) = (one.min(last), other.min(last));
            match act {
                0 if last > 0 => { events.remove(one); }
                1 => {
                    events[one].insert("effective_at".to_owned(), json!(other));
                    if fit { state(&mut events[one]); }
                }
                2 => events.swap(one, other),
                3 => { let event = events[one].clone(); events.insert(other, event); }
                _ => {
                    events[one]["chain"]["number"] = json!(other);
                    if fit { state(&mut events[one]); }
                }
            }
        }
        prop_assume!(events != whole);
        prop_assert!(!walk(&events, head(&whole)).is_empty());
    }

    #[test]
    fn anything_is_walked(numbers in proptest::collection::vec(any::<u64>(), 0..20), first in any::<u64>()) {
        let events: Vec<_> = numbers
            .iter()
            .map(|number| {
                let mut event = chain(1).remove(0);
                event["chain"]["number"] = json!(number);
                state(&mut event);
                event
            })
            .collect();
        let mut walk = ChainWalk::default();
        events.iter().for_each(|event| walk.step(event));
        for fault in walk.finish(first) {
            prop_assert!(!fault.to_string().is_empty());
        }
    }
}
