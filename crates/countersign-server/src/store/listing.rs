//! Lists by keyset: a page starts after an entry's place in the order, not after a count of
//! entries, so it costs the same at any depth and neither skips nor repeats while rows are added.

use countersign_types::page::{Listed, Order, Page};

use super::{
    PageRequest, StoreError,
    connection::Connection,
    value::{Row, Value},
};

/// What a resource's list and retrieve verbs read.
pub(super) struct Listing<'a> {
    /// The columns, as `SELECT` takes them.
    pub columns: &'a str,
    /// `FROM .. WHERE ..`, where the resource's table is called `t`.
    pub from: &'a str,
    /// A further condition (` AND ..`) on the list's entries, but not on the one it goes on from.
    pub only: &'a str,
    /// What `from` and `only` bind, from `$1` on.
    pub values: &'a [Value<'a>],
}

impl Listing<'_> {
    /// The one of that id.
    pub(super) async fn retrieve<T>(
        &self,
        connection: &mut Connection,
        id: &str,
        map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let Self { columns, from, .. } = self;
        let next = self.values.len() + 1;
        let sql = format!("SELECT {columns} {from} AND t.id = ${next}");
        connection
            .find(&sql, &self.and(&[Value::Text(id)]), map)
            .await
    }

    /// One page.
    pub(super) async fn page<T: Listed>(
        &self,
        connection: &mut Connection,
        request: &PageRequest,
        map: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let (created_at, seq) = self.start(connection, request).await?;
        let Self {
            columns,
            from,
            only,
            ..
        } = self;
        let (than, direction) = match request.order {
            Order::Asc => (">", "ASC"),
            Order::Desc => ("<", "DESC"),
        };
        let first = self.values.len() + 1;
        let (second, third) = (first + 1, first + 2);
        let sql = format!(
            "SELECT {columns} {from}{only} AND (t.created_at, t.seq) {than} (${first}, ${second}) \
             ORDER BY t.created_at {direction}, t.seq {direction} LIMIT ${third}"
        );
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let one_more = Value::Int(i64::from(request.limit) + 1);
        let values = self.and(&[Value::Int(created_at), Value::Int(seq), one_more]);
        let mut entries = connection.query(&sql, &values, map).await?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        Ok(Page::new(entries, has_more))
    }

    /// The place that the page follows: that of `after`, or before the first.
    async fn start(
        &self,
        connection: &mut Connection,
        request: &PageRequest,
    ) -> Result<(i64, i64), StoreError> {
        let Some(after) = &request.after else {
            return Ok(match request.order {
                Order::Asc => (-1, -1),
                Order::Desc => (i64::MAX, i64::MAX),
            });
        };
        let unknown = || StoreError::UnknownCursor(after.clone());
        // No id holds one, and PostgreSQL takes no text that does.
        if after.contains('\0') {
            return Err(unknown());
        }
        let place = Listing {
            columns: "t.created_at, t.seq",
            ..*self
        };
        let found = place.retrieve(connection, after, |row| Ok((row.int(0)?, row.int(1)?)));
        Box::pin(found).await?.ok_or_else(unknown)
    }

    fn and<'b>(&'b self, more: &[Value<'b>]) -> Vec<Value<'b>> {
        self.values.iter().chain(more).copied().collect()
    }
}
