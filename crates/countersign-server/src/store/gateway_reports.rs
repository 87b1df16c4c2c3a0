//! What gateways report with each request for bundles, as it is recorded.

use std::collections::HashMap;

use countersign_types::{
    UnixSeconds,
    capability::Capability,
    history::HistoryPoint,
    id::{ApiKeyId, GatewayId},
};

use super::{
    Store, StoreError, capabilities,
    connection::Connection,
    report::Report,
    row::{FromRow, Row},
    value::{Value, params},
};

/// For how many seconds a gateway is not recorded again where it has nothing new to say, so that
/// a request for bundles costs no write.
const SEEN_EVERY: UnixSeconds = 15;
/// The longest that a gateway waits for its next bundle, in seconds.
pub(crate) const MAX_BUNDLE_WAIT_SECONDS: UnixSeconds = 60;
/// How long after it was last recorded a gateway counts as live: the longest wait, and as much
/// again as passes before it is recorded again.
pub const GATEWAY_LIVE_SECONDS: UnixSeconds = MAX_BUNDLE_WAIT_SECONDS + SEEN_EVERY;

/// The most reports of one statement.
const AT_A_TIME: usize = 32;
/// The columns of a report.
const COLUMNS: usize = 8;

/// What a gateway says of itself with each request for bundles.
#[derive(Debug, Clone, Copy)]
pub struct GatewayReport<'a> {
    /// The gateway.
    pub id: &'a GatewayId,
    /// The name it was configured with.
    pub name: &'a str,
    /// The key that it asks with.
    pub key: &'a ApiKeyId,
    /// The point of the history that all its threads enforce.
    pub enforced: HistoryPoint,
    /// Whether that would survive its restart.
    pub durable: bool,
    /// What it understands of bundles.
    pub understands: &'a [Capability],
}

impl Store {
    /// Records what a gateway reports, and that it was seen now; and forgets those that were last
    /// seen before `kept_since`. It writes only when there is something new, or the last time is
    /// some seconds ago, and with it what others report meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn record_gateway(
        &self,
        report: GatewayReport<'_>,
        kept_since: UnixSeconds,
    ) -> Result<(), StoreError> {
        let report = Report {
            gateway: report.id.clone(),
            name: report.name.to_owned(),
            key: report.key.clone(),
            enforced: report.enforced,
            durable: report.durable,
            understands: capabilities::to_text(report.understands),
            seen_at: self.inner.sources.now(),
        };
        let record = async |reports| {
            let news = self.news(Report::latest_of_each(reports)).await?;
            if news.is_empty() {
                return Ok(());
            }
            self.write_reports(news, kept_since).await
        };
        self.inner.reports.take(report, record).await
    }

    /// The reports that say something new.
    async fn news(&self, reports: Vec<Report>) -> Result<Vec<Report>, StoreError> {
        let mut connection = self.reader().await?;
        // Read each time: another node may have forgotten them, or recorded something else.
        let mut recorded = HashMap::with_capacity(reports.len());
        for some in reports.chunks(AT_A_TIME) {
            recorded.extend(read_reports(&mut connection, some).await?);
        }
        let mut news = Vec::new();
        for report in reports {
            if let Some(recorded) = recorded.get(&report.gateway) {
                if recorded.says(&report) {
                    continue;
                }
                let other_key = recorded.key.as_ref() != Some(&report.key);
                if other_key && is_anothers(&mut connection, &report).await? {
                    tracing::warn!(
                        gateway = %report.gateway, key = %report.key,
                        "a gateway of this id was recorded with a key that reaches more: what one with a \
                         key that is limited says of it is not taken until it is forgotten"
                    );
                    continue;
                }
            }
            news.push(report);
        }
        Ok(news)
    }

    async fn write_reports(
        &self,
        reports: Vec<Report>,
        kept_since: UnixSeconds,
    ) -> Result<(), StoreError> {
        let mut connection = self.inner.database.transaction().await?;
        let (durable, others): (Vec<_>, Vec<_>) = reports.iter().partition(|each| each.durable);
        for some in durable.chunks(AT_A_TIME) {
            upsert(&mut connection, some, true).await?;
        }
        for some in others.chunks(AT_A_TIME) {
            upsert(&mut connection, some, false).await?;
        }
        connection
            .execute(
                "DELETE FROM gateways WHERE seen_at < $1",
                params![kept_since],
            )
            .await?;
        connection
            .execute(
                "DELETE FROM live_streams WHERE gateway_id NOT IN (SELECT id FROM gateways)",
                &[],
            )
            .await?;
        connection.commit("COMMIT", || ()).await
    }
}

/// Writes some reports. What would not survive a restart is not taken as enforced: the older point stays.
async fn upsert(
    connection: &mut Connection,
    reports: &[&Report],
    durable: bool,
) -> Result<(), StoreError> {
    let rows: Vec<String> = (0..reports.len()).map(placeholders).collect();
    let set = if durable {
        "revision = excluded.revision, token = excluded.token, durable = 1"
    } else {
        "durable = 0"
    };
    let sql = format!(
        "INSERT INTO gateways (id, name, revision, token, durable, seen_at, key_id, understands) \
         VALUES {} ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at, \
         key_id = excluded.key_id, understands = excluded.understands, {set}",
        rows.join(", ")
    );
    let point_of = |report: &Report| {
        if durable {
            report.enforced
        } else {
            HistoryPoint::START
        }
    };
    let tokens: Vec<String> = reports
        .iter()
        .map(|each| point_of(each).token.to_string())
        .collect();
    let mut values: Vec<Value<'_>> = Vec::with_capacity(COLUMNS * reports.len());
    for (report, token) in reports.iter().zip(&tokens) {
        values.extend([
            Value::from(report.gateway.as_str()),
            Value::from(report.name.as_str()),
            Value::from(point_of(report).revision),
            Value::from(token.as_str()),
            Value::from(u64::from(durable)),
            Value::from(report.seen_at),
            Value::from(report.key.as_str()),
            Value::from(report.understands.as_str()),
        ]);
    }
    connection.execute(&sql, &values).await?;
    Ok(())
}

/// The parameters of a row.
fn placeholders(row: usize) -> String {
    let numbers = (1..=COLUMNS).map(|column| format!("${}", COLUMNS * row + column));
    format!("({})", numbers.collect::<Vec<_>>().join(", "))
}

/// A gateway as it is recorded.
struct Recorded {
    name: String,
    point: HistoryPoint,
    durable: bool,
    seen_at: UnixSeconds,
    key: Option<ApiKeyId>,
    understands: String,
}

impl Recorded {
    /// Whether a report has nothing new.
    fn says(&self, report: &Report) -> bool {
        self.name == report.name
            && self.durable == report.durable
            && self.key.as_ref() == Some(&report.key)
            && self.understands == report.understands
            && (!report.durable || self.point == report.enforced)
            // Nodes' clocks differ, and one may have been wrong.
            && self.seen_at.abs_diff(report.seen_at) < SEEN_EVERY
    }
}

/// What is recorded of the gateways that report.
async fn read_reports(
    connection: &mut Connection,
    reports: &[Report],
) -> Result<Vec<(GatewayId, Recorded)>, StoreError> {
    let places: Vec<String> = (1..=reports.len())
        .map(|number| format!("${number}"))
        .collect();
    let sql = format!(
        "SELECT id, name, revision, token, durable, seen_at, key_id, understands FROM gateways WHERE id IN ({})",
        places.join(", ")
    );
    let ids = reports
        .iter()
        .map(|each| Value::from(each.gateway.as_str()));
    connection.query(&sql, &ids.collect::<Vec<_>>()).await
}

/// Whether a gateway is recorded with a key that reaches what the limited key of this report does not.
/// Else whoever has such a key could say for others' gateways what they enforce.
async fn is_anothers(connection: &mut Connection, report: &Report) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT count(*) FROM gateways g JOIN api_keys n ON n.id = $2 AND n.limited = 1 \
         WHERE g.id = $1 AND (NOT (\
           EXISTS (SELECT 1 FROM api_keys k WHERE k.id = g.key_id AND k.limited = 1) \
           OR EXISTS (SELECT 1 FROM former_key_organizations f WHERE f.key_id = g.key_id)) \
         OR EXISTS (SELECT 1 FROM (\
             SELECT key_id, organization_id FROM gateway_key_organizations \
             UNION ALL SELECT key_id, organization_id FROM former_key_organizations) AS o \
           WHERE o.key_id = g.key_id AND NOT EXISTS (SELECT 1 FROM gateway_key_organizations r \
             WHERE r.key_id = $2 AND r.organization_id = o.organization_id)))";
    let values = params![report.gateway, report.key];
    let others: u64 = connection.number(SQL, values).await?;
    Ok(others > 0)
}

impl FromRow for Recorded {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.next()?,
            point: row.several()?,
            durable: row.next::<u64>()? != 0,
            seen_at: row.next()?,
            key: row.next()?,
            understands: row.next()?,
        })
    }
}
