//! What gateways report with each request for bundles, as it is recorded.

use countersign_types::{
    UnixSeconds,
    history::HistoryPoint,
    id::{ApiKeyId, GatewayId},
};

use super::{
    Store, StoreError,
    connection::Connection,
    reports_waiting::Report,
    row::{FromRow, Row},
    value::{Value, params},
};

/// For how many seconds a gateway is not recorded again where it has nothing new to say, so that
/// a request for bundles costs no write.
pub(crate) const SEEN_EVERY: UnixSeconds = 15;

/// The most reports of one statement.
const AT_A_TIME: usize = 32;

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
        let now = self.inner.sources.now();
        // Read each time: another node may have forgotten it, or recorded something else.
        let recorded = {
            let mut connection = self.reader().await?;
            read_report(&mut connection, report.id).await?
        };
        if let Some(recorded) = recorded {
            if recorded.says(&report, now) {
                return Ok(());
            }
            if recorded.key.as_ref() != Some(report.key) && self.is_anothers(&report).await? {
                tracing::warn!(
                    gateway = %report.id, key = %report.key,
                    "a gateway of this id was recorded with a key that reaches more: what one with a key \
                     that is limited says of it is not taken until it is forgotten"
                );
                return Ok(());
            }
        }
        let report = Report {
            gateway: report.id.clone(),
            name: report.name.to_owned(),
            key: report.key.clone(),
            enforced: report.enforced,
            durable: report.durable,
            seen_at: now,
        };
        let write = async |reports| self.write_reports(reports, kept_since).await;
        self.inner.reports.write(report, write).await
    }

    /// Whether a gateway is recorded with a key that reaches what the limited key of this report does not.
    /// Else whoever has such a key could say for others' gateways what they enforce.
    async fn is_anothers(&self, report: &GatewayReport<'_>) -> Result<bool, StoreError> {
        let sql = "SELECT count(*) FROM gateways g JOIN api_keys n ON n.id = $2 AND n.limited = 1 \
             WHERE g.id = $1 AND NOT (\
               EXISTS (SELECT 1 FROM api_keys k WHERE k.id = g.key_id AND k.limited = 1) \
               AND NOT EXISTS (SELECT 1 FROM gateway_key_organizations o WHERE o.key_id = g.key_id \
                 AND NOT EXISTS (SELECT 1 FROM gateway_key_organizations r \
                   WHERE r.key_id = $2 AND r.organization_id = o.organization_id)))";
        let mut connection = self.reader().await?;
        let others: u64 = connection
            .number(sql, params![report.id, report.key])
            .await?;
        Ok(others > 0)
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
        "INSERT INTO gateways (id, name, revision, token, durable, seen_at, key_id) VALUES {} \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at, \
         key_id = excluded.key_id, {set}",
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
    let mut values: Vec<Value<'_>> = Vec::with_capacity(7 * reports.len());
    for (report, token) in reports.iter().zip(&tokens) {
        values.extend([
            Value::from(report.gateway.as_str()),
            Value::from(report.name.as_str()),
            Value::from(point_of(report).revision),
            Value::from(token.as_str()),
            Value::from(u64::from(durable)),
            Value::from(report.seen_at),
            Value::from(report.key.as_str()),
        ]);
    }
    connection.execute(&sql, &values).await?;
    Ok(())
}

/// The parameters of a row.
fn placeholders(row: usize) -> String {
    let numbers = (1..=7).map(|column| format!("${}", 7 * row + column));
    format!("({})", numbers.collect::<Vec<_>>().join(", "))
}

/// A gateway as it is recorded.
struct Recorded {
    name: String,
    point: HistoryPoint,
    durable: bool,
    seen_at: UnixSeconds,
    key: Option<ApiKeyId>,
}

impl Recorded {
    /// Whether a report has nothing new.
    fn says(&self, report: &GatewayReport<'_>, now: UnixSeconds) -> bool {
        self.name == report.name
            && self.durable == report.durable
            && self.key.as_ref() == Some(report.key)
            && (!report.durable || self.point == report.enforced)
            // Nodes' clocks differ, and one may have been wrong.
            && self.seen_at.abs_diff(now) < SEEN_EVERY
    }
}

async fn read_report(
    connection: &mut Connection,
    id: &GatewayId,
) -> Result<Option<Recorded>, StoreError> {
    connection
        .find(
            "SELECT name, revision, token, durable, seen_at, key_id FROM gateways WHERE id = $1",
            params![id],
        )
        .await
}

impl FromRow for Recorded {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            name: row.next()?,
            point: row.several()?,
            durable: row.next::<u64>()? != 0,
            seen_at: row.next()?,
            key: row.next()?,
        })
    }
}
