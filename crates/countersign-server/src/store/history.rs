//! The deployment's history: each commit's revision, and the token that was drawn for it. After a
//! failover or a restored backup the same revisions are given again, with other tokens
//! (docs/specification.md, section 4).

use countersign_types::history::{HistoryPoint, RevisionToken};

use super::{
    StoreError,
    connection::Connection,
    key_rows,
    row::{FromRow, Row},
    schema,
    sources::Sources,
    value::params,
};

/// How many points are kept at least: a gateway that was away for longer is sent everything.
const KEPT: u64 = 10_000;
/// How many more may pile up, so that not every commit deletes one.
const PRUNED_AT_A_TIME: u64 = 100;

/// The point of the latest commit, if this program knows the schema still.
pub(super) async fn read(connection: &mut Connection) -> Result<HistoryPoint, StoreError> {
    let sql = "SELECT revision, token, (SELECT max(version) FROM schema_migrations) \
               FROM deployment WHERE id = 1";
    let found: Option<(HistoryPoint, i64)> = connection.find(sql, &[]).await?;
    let (point, version) = found.ok_or_else(no_deployment)?;
    schema::check(version)?;
    Ok(point)
}

/// Whether a point is one of this history, and new enough to be known still.
pub(super) async fn contains(
    connection: &mut Connection,
    point: HistoryPoint,
) -> Result<bool, StoreError> {
    let found: Option<u64> = connection
        .find(
            "SELECT revision FROM history WHERE revision = $1 AND token = $2",
            params![point.revision, point.token.to_string()],
        )
        .await?;
    Ok(found.is_some())
}

/// Whether a point was lost: its revision is another commit's now, or none's yet. `None` when it is
/// too old to be known still.
pub(super) async fn lacks(
    connection: &mut Connection,
    point: HistoryPoint,
) -> Result<Option<bool>, StoreError> {
    let sql = "SELECT token FROM history WHERE revision = $1";
    let found: Option<RevisionToken> = connection.find(sql, params![point.revision]).await?;
    if let Some(token) = found {
        return Ok(Some(token != point.token));
    }
    let latest = read(connection).await?.revision;
    Ok((point.revision > latest).then_some(true))
}

/// Draws the token of a commit.
pub(super) fn draw(sources: &Sources) -> Result<RevisionToken, StoreError> {
    Ok(RevisionToken::from_random(sources.id()?))
}

/// Takes the next revision, if this program knows the schema still: nobody brings that up to date before this
/// transaction ends. Every write of the deployment locks this row, so a commit does it last.
pub(super) async fn advance(
    connection: &mut Connection,
    token: RevisionToken,
) -> Result<HistoryPoint, StoreError> {
    let text = token.to_string();
    let advanced: Option<(u64, i64)> = connection
        .find(
            "UPDATE deployment SET revision = revision + 1, token = $1 WHERE id = 1 \
             RETURNING revision, (SELECT max(version) FROM schema_migrations)",
            params![text],
        )
        .await?;
    let (revision, version) = advanced.ok_or_else(no_deployment)?;
    schema::check(version)?;
    connection
        .execute(
            "INSERT INTO history (revision, token) VALUES ($1, $2)",
            params![revision, text],
        )
        .await?;
    if revision.is_multiple_of(PRUNED_AT_A_TIME) {
        connection
            .execute(
                "DELETE FROM history WHERE revision <= $1",
                params![revision.saturating_sub(KEPT)],
            )
            .await?;
        // What came after the oldest point that is known stays known.
        key_rows::forget_changes(connection, revision.saturating_sub(KEPT)).await?;
    }
    Ok(HistoryPoint { revision, token })
}

/// Draws a token for the latest revision of a database from before tokens. It is drawn, and not
/// the same for all, so that two copies of that database do not pass for one history.
pub(super) async fn begin(
    connection: &mut Connection,
    sources: &Sources,
) -> Result<(), StoreError> {
    let token = draw(sources)?.to_string();
    for sql in [
        "UPDATE deployment SET token = $1 WHERE id = 1 AND revision > 0",
        "INSERT INTO history (revision, token) \
         SELECT revision, token FROM deployment WHERE id = 1 AND revision > 0 AND token = $1",
    ] {
        connection.execute(sql, params![token]).await?;
    }
    Ok(())
}

/// Lets nobody ask after an earlier point: whoever does is sent everything.
pub(super) async fn begin_anew(
    connection: &mut Connection,
    sources: &Sources,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM history", &[]).await?;
    begin(connection, sources).await
}

fn no_deployment() -> StoreError {
    StoreError::Corrupt("the row of the deployment is missing".to_owned())
}

impl FromRow for HistoryPoint {
    fn from_row(row: &mut Row<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            revision: row.next()?,
            token: row.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{Location, Store};

    use super::*;

    #[tokio::test]
    async fn the_latest_points_are_kept_and_older_ones_go() {
        let sources = Sources::system();
        let store = Store::open(&Location::Memory, sources.clone())
            .await
            .unwrap();
        let mut connection = store.inner.database.transaction().await.unwrap();
        assert_eq!(read(&mut connection).await.unwrap(), HistoryPoint::START);
        let mut points = Vec::new();
        for _ in 0..KEPT + 2 * PRUNED_AT_A_TIME {
            let token = draw(&sources).unwrap();
            points.push(advance(&mut connection, token).await.unwrap());
        }
        let latest = points.last().copied().unwrap();
        assert_eq!(read(&mut connection).await.unwrap(), latest);
        let count = "SELECT count(*) FROM history";
        assert_eq!(connection.number(count, &[]).await.unwrap(), KEPT);
        for (point, known) in [(points[0], false), (points[300], true), (latest, true)] {
            assert_eq!(contains(&mut connection, point).await.unwrap(), known);
        }
        let other = HistoryPoint {
            token: RevisionToken::from_random(1),
            ..latest
        };
        assert!(!contains(&mut connection, other).await.unwrap());
    }
}
