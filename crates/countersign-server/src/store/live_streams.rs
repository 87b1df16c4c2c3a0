//! The streams under way at gateways, as each reported them last. That is no change of an organization: it takes no
//! revision and writes no audit event.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    id::{GatewayId, OrganizationId},
    live_streams::{LiveReport, WorkloadStreams},
    workload::ObservedWorkload,
};

use super::{
    Reach, Store, StoreError, json_column,
    row::{FromRow, Row},
    value::params,
};

/// The streams of an organization that are under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveStreams {
    /// All of them.
    pub streams: u64,
    /// Those of workloads, as far as gateways name them.
    pub of_workloads: HashMap<ObservedWorkload, u64>,
    /// The time of the oldest of the reports; none if no gateway reports.
    pub as_of: Option<UnixSeconds>,
    /// How many gateways that are live report nothing.
    pub silent_gateways: u64,
}

impl Store {
    /// Keeps what a gateway reports, in place of what it reported before, for the organizations that its key reaches.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn record_live_streams(
        &self,
        report: &LiveReport,
        reach: &Reach,
    ) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        let now = self.inner.sources.now();
        // The gateway's row is locked first, so that two reports of it follow one another.
        let sql = "UPDATE gateways SET streams_at = $2 WHERE id = $1";
        let known = connection
            .execute(sql, params![report.gateway, now])
            .await?;
        if known == 0 {
            // It has not asked for bundles yet, or it was forgotten: it reports again.
            return Ok(());
        }
        match reach {
            Reach::All => {
                let sql = "DELETE FROM live_streams WHERE gateway_id = $1";
                connection.execute(sql, params![report.gateway]).await?;
            }
            Reach::Only(organizations) => {
                let sql = "DELETE FROM live_streams WHERE gateway_id = $1 AND organization_id = $2";
                for organization in organizations.iter() {
                    let values = params![report.gateway, organization];
                    connection.execute(sql, values).await?;
                }
            }
        }
        let reached = report.organizations.iter();
        for each in reached.filter(|each| reach.includes(&each.organization)) {
            let workloads = json_column::to_column(&each.workloads)?;
            connection
                .execute(
                    "INSERT INTO live_streams (gateway_id, organization_id, streams, workloads) \
                     SELECT $1, id, $3, $4 FROM organizations WHERE id = $2 \
                     ON CONFLICT (gateway_id, organization_id) DO NOTHING",
                    params![report.gateway, each.organization, each.streams, workloads],
                )
                .await?;
        }
        connection.commit("COMMIT", || ()).await
    }

    /// The streams of an organization that are under way at gateways seen since a time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn live_streams(
        &self,
        organization: &OrganizationId,
        live_since: UnixSeconds,
    ) -> Result<LiveStreams, StoreError> {
        let mut connection = self.inner.database.snapshot().await?;
        let sql = "SELECT id, streams_at FROM gateways WHERE seen_at >= $1";
        let gateways: Vec<(GatewayId, Option<UnixSeconds>)> =
            connection.query(sql, params![live_since]).await?;
        let silent = gateways.iter().filter(|(_, reported)| reported.is_none());
        let mut live = LiveStreams {
            as_of: gateways.iter().filter_map(|(_, reported)| *reported).min(),
            silent_gateways: u64::try_from(silent.count()).unwrap_or(u64::MAX),
            ..LiveStreams::default()
        };
        let sql = "SELECT l.streams, l.workloads FROM live_streams l \
            JOIN gateways g ON g.id = l.gateway_id WHERE l.organization_id = $1 AND g.seen_at >= $2";
        let reported: Vec<Reported> = connection
            .query(sql, params![organization, live_since])
            .await?;
        for Reported { streams, workloads } in reported {
            live.streams = live.streams.saturating_add(streams);
            for each in workloads {
                let of_this = live.of_workloads.entry(each.identity).or_default();
                *of_this = of_this.saturating_add(each.streams);
            }
        }
        Ok(live)
    }
}

/// What one gateway reported.
struct Reported {
    streams: u64,
    workloads: Vec<WorkloadStreams>,
}

impl FromRow for Reported {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            streams: row.next()?,
            workloads: json_column::from_column(row)?,
        })
    }
}
