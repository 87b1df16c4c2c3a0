//! Judges the cases of public suites for client chains: C2SP/x509-limbo, Netflix/bettertls and
//! NIST PKITS. A case of tier `core` must come out as expected. Every other one that does not
//! stands in `conformance-exceptions.toml` with the reason, and only those may: one that comes out
//! as expected after all fails the test as well.
//!
//! The cases are read from `COUNTERSIGN_CONFORMANCE_DIR`, or from `shared/conformance` beside the
//! repository. Where neither is there the test says that it was skipped.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong while a test sets its scene should stop it"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use countersign_types::{UnixSeconds, certificate::Scope};
use countersign_verify::{
    judge::{Verdict, judge},
    presented::Presented,
    trust::TrustSet,
};
use flate2::bufread::GzDecoder;
use serde::Deserialize;

/// The time for cases that leave it open: 2026-11-23, which all of them hold for valid.
const UNSTATED_TIME: UnixSeconds = 1_795_392_000;

const EXCEPTIONS: &str = include_str!("conformance-exceptions.toml");

/// A case, as a line of the suites.
#[derive(Deserialize)]
struct Case {
    id: String,
    tier: String,
    anchors_pem: Vec<String>,
    chain_pem: Vec<String>,
    time: Option<String>,
    expected: Decision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Decision {
    Accept,
    Reject,
}

/// The cases that we decide otherwise, by reason.
#[derive(Deserialize)]
struct Exceptions {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "reason")]
    _reason: String,
    ours: Decision,
    cases: Vec<String>,
}

#[test]
fn every_case_comes_out_as_expected_or_as_excepted() {
    let Some(directory) = directory() else {
        println!("SKIPPED: no conformance cases; set COUNTERSIGN_CONFORMANCE_DIR to have them run");
        return;
    };
    let mut excepted = exceptions();
    let mut tally: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in ["limbo-client.jsonl.gz", "pkits-client.jsonl.gz"] {
        for case in cases(&directory.join(file)) {
            let (decision, why) = pose(&case);
            let count = tally.entry(case.tier.clone()).or_default();
            count.0 += 1;
            count.1 += usize::from(decision == case.expected);
            let exception = excepted.remove(&case.id);
            let ours = exception.unwrap_or(case.expected);
            if decision != ours || exception == Some(case.expected) {
                wrong.push(format!("{} ({}): {decision:?} {why}", case.id, case.tier));
            } else if exception.is_some() && case.tier == "core" {
                wrong.push(format!("{}: a core case is no matter of choice", case.id));
            }
        }
    }
    for (tier, (ran, agreed)) in &tally {
        println!("{tier}: {ran} cases ran, {agreed} agree");
    }
    let ran: usize = tally.values().map(|(ran, _)| ran).sum();
    println!("{ran} cases ran");
    assert!(ran > 0, "no case in {}", directory.display());
    wrong.extend(
        excepted
            .into_keys()
            .map(|id| format!("{id}: an exception without its case")),
    );
    assert!(
        wrong.is_empty(),
        "{} unexpected:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn directory() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let stated = std::env::var_os("COUNTERSIGN_CONFORMANCE_DIR").map(PathBuf::from);
    stated.or_else(|| beside.is_dir().then_some(beside))
}

fn exceptions() -> BTreeMap<String, Decision> {
    let exceptions: Exceptions = toml::from_str(EXCEPTIONS).unwrap();
    let mut excepted = BTreeMap::new();
    let mut twice = BTreeSet::new();
    for group in exceptions.group {
        for case in group.cases {
            if excepted.insert(case.clone(), group.ours).is_some() {
                twice.insert(case);
            }
        }
    }
    assert!(twice.is_empty(), "excepted twice: {twice:?}");
    excepted
}

fn cases(file: &Path) -> impl Iterator<Item = Case> {
    let packed = BufReader::new(File::open(file).unwrap());
    let lines = BufReader::new(GzDecoder::new(packed)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// Judges a case as `countersign verify --chain FILE --anchor FILE...` does.
fn pose(case: &Case) -> (Decision, String) {
    let trust = TrustSet::from_anchors(case.anchors_pem.iter().map(String::as_str), None);
    let presented = Presented::from_pem(&case.chain_pem.concat()).unwrap();
    let now = case.time.as_deref().map_or(UNSTATED_TIME, unix_seconds);
    match judge(&trust, &Scope::Organization, &presented, now) {
        Verdict::Permit(_) => (Decision::Accept, String::new()),
        Verdict::Refusal(refusal) => (Decision::Reject, serde_json::to_string(&refusal).unwrap()),
        Verdict::NoAnchorApplies(_) => panic!("{}: no anchor applied", case.id),
    }
}

/// The second of a time such as `2026-01-01T00:00:00.999+00:00`; the suites write no other zone.
fn unix_seconds(time: &str) -> UnixSeconds {
    let time = time.strip_suffix("+00:00").unwrap();
    let fields: Vec<u64> = time
        .split(['-', 'T', ':', '.'])
        .map(|field| field.parse().unwrap())
        .collect();
    let (year, month, day) = (fields[0], fields[1], fields[2]);
    // Days since 0000-03-01, so that a leap day ends its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    (((days - 719_468) * 24 + fields[3]) * 60 + fields[4]) * 60 + fields[5]
}

#[test]
fn times_are_read_to_the_second() {
    assert_eq!(unix_seconds("1970-01-01T00:00:00+00:00"), 0);
    assert_eq!(unix_seconds("2024-03-01T00:00:00.999+00:00"), 1_709_251_200);
    assert_eq!(unix_seconds("2026-11-23T00:00:00+00:00"), UNSTATED_TIME);
}
