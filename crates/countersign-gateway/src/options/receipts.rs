//! Where receipts go.

use serde::{Deserialize, Deserializer};

/// Where the receipt of a verdict goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptPlace {
    /// To the upstream, as `x-countersign-receipt`, with requests that pass. Clients never get one.
    Header,
    /// Into the access log, also of requests whose certificate is refused.
    Log,
}

/// One place, or a list of them.
pub(super) fn places<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ReceiptPlace>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected `\"header\"`, `\"log\"` or `[\"header\", \"log\"]`"
    )]
    enum OneOrMore {
        One(ReceiptPlace),
        More(Vec<ReceiptPlace>),
    }
    Ok(match OneOrMore::deserialize(deserializer)? {
        OneOrMore::One(one) => vec![one],
        OneOrMore::More(more) => more,
    })
}
