//! What a gateway reports of itself, while it waits to be recorded.

use countersign_types::{
    UnixSeconds,
    history::HistoryPoint,
    id::{ApiKeyId, GatewayId},
};

/// What a gateway reports.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) gateway: GatewayId,
    pub(super) name: String,
    pub(super) key: ApiKeyId,
    pub(super) enforced: HistoryPoint,
    pub(super) durable: bool,
    /// As it is stored.
    pub(super) understands: String,
    pub(super) seen_at: UnixSeconds,
}

impl Report {
    /// The latest report of each gateway, in the order of their ids.
    pub(super) fn latest_of_each(mut reports: Vec<Self>) -> Vec<Self> {
        // Stable, so that of one gateway's the last one stays: the first in reverse.
        reports.reverse();
        reports.sort_by(|one, other| one.gateway.cmp(&other.gateway));
        reports.dedup_by(|one, other| one.gateway == other.gateway);
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_reports_of_a_gateway_the_latest_stays() {
        let report = |gateway, revision| Report {
            gateway: GatewayId::from_random(gateway),
            name: "edge".to_owned(),
            key: ApiKeyId::from_random(1),
            enforced: HistoryPoint {
                revision,
                ..HistoryPoint::START
            },
            durable: true,
            understands: String::new(),
            seen_at: 0,
        };
        let all = [(1, 1), (3, 3), (2, 2), (3, 4)];
        let all = all.map(|(gateway, revision)| report(gateway, revision));
        let left = Report::latest_of_each(all.into());
        let left: Vec<_> = left.iter().map(|each| each.enforced.revision).collect();
        assert_eq!(left, [1, 2, 4]);
    }
}
