//! What an upload must be: one defect each, minted or cut from a sound certificate.

#![expect(
    clippy::unwrap_used,
    reason = "the functions that tests share are tests too"
)]

mod accepted;
mod anything;
mod openssl;
mod refused;
mod texts;

use std::fmt::Write as _;

use countersign_testca::Template;
use countersign_verify::certificate::{Rejection, inspect, read_upload};

/// 2027-01-15T08:00:00Z.
const NOW: u64 = 1_800_000_000;
/// The same, and a day, as `testca` takes times.
const NOW_EXACT: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

/// Why an upload is refused. An inspection must say the same.
fn refuse(pem: &str) -> Rejection {
    let refused = read_upload(pem, NOW).map(|anchor| anchor.subject().to_owned());
    let refused = refused.unwrap_err();
    assert_eq!(inspect(pem, NOW).reasons.first(), Some(&refused));
    refused
}

/// Every case's name, code and message, against the snapshot of that name.
fn check<'a>(snapshot: &str, cases: impl IntoIterator<Item = (&'a str, String)>) {
    let mut out = String::new();
    for (name, pem) in cases {
        let Rejection { code, message } = refuse(&pem);
        writeln!(out, "{name}\n  {}: {message}", code.as_str()).unwrap();
    }
    insta::assert_snapshot!(snapshot, out, snapshot);
}

fn mint(template: Template) -> String {
    template.mint().pem()
}
