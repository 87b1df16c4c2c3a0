//! Lists by keyset: a page starts after an entry's sort key, not after a count of entries, so it costs the same at any depth and neither skips nor repeats while rows are added.

use countersign_types::page::{DEFAULT_LIMIT, Listed, Order, Page};

use super::{
    StoreError,
    connection::Connection,
    row::FromRow,
    value::{Value, params},
};

/// Which page of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The most entries that it may hold.
    pub limit: u32,
    /// The id of the entry that it follows.
    pub after: Option<String>,
    /// Which end of the list comes first.
    pub order: Order,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: DEFAULT_LIMIT,
            after: None,
            order: Order::default(),
        }
    }
}

/// Where a page starts in a list whose ids end with the numbers of their rows.
pub(super) enum Start {
    /// Before the first entry: beyond this number.
    Beyond(i64),
    /// After the row of this number, if the list has it.
    After(i64),
}

impl PageRequest {
    /// Where the page starts, by ids of this prefix.
    pub(super) fn start(&self, prefix: &str) -> Result<Start, StoreError> {
        let Some(after) = &self.after else {
            return Ok(Start::Beyond(match self.order {
                Order::Asc => 0,
                Order::Desc => i64::MAX,
            }));
        };
        let digits = after.strip_prefix(prefix);
        let number = digits.and_then(|digits| digits.parse().ok());
        number
            .map(Start::After)
            .ok_or_else(|| self.unknown_cursor())
    }

    /// The refusal of an entry that the list does not have.
    pub(super) fn unknown_cursor(&self) -> StoreError {
        StoreError::UnknownCursor(self.after.clone().unwrap_or_default())
    }
}

/// What a resource's list and retrieve verbs read.
pub(super) struct Listing<'a> {
    /// The columns, as `SELECT` takes them.
    pub columns: &'a str,
    /// `FROM .. WHERE ..`, where the resource's table is called `t`.
    pub from: &'a str,
    /// A further condition (` AND ..`) on the list's entries. It does not apply to the entry that a
    /// page follows, which may have been archived since.
    pub only: &'a str,
    /// What `from` and `only` bind, from `$1` on.
    pub values: &'a [Value<'a>],
}

impl Listing<'_> {
    /// The entry with that id.
    pub(super) async fn retrieve<T: FromRow>(
        &self,
        connection: &mut Connection,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        let Self { columns, from, .. } = self;
        let next = self.values.len() + 1;
        let sql = format!("SELECT {columns} {from} AND t.id = ${next}");
        connection.find(&sql, &self.and(params![id])).await
    }

    /// One page.
    pub(super) async fn page<T: FromRow + Listed>(
        &self,
        connection: &mut Connection,
        request: &PageRequest,
    ) -> Result<Page<T>, StoreError> {
        let (entries, has_more) = self.entries(connection, request).await?;
        Ok(Page::new(entries, has_more))
    }

    /// The entries of one page, and whether more follow.
    pub(super) async fn entries<T: FromRow>(
        &self,
        connection: &mut Connection,
        request: &PageRequest,
    ) -> Result<(Vec<T>, bool), StoreError> {
        let (created_at, seq) = self.sort_key(connection, request).await?;
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
        // One more than is shown says whether there are more.
        let one_more = i64::from(request.limit) + 1;
        let values = self.and(params![created_at, seq, one_more]);
        let mut entries = connection.query(&sql, &values).await?;
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        Ok((entries, has_more))
    }

    /// Where in the order the page starts: after the entry `after`, or before the first.
    async fn sort_key(
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
        // No id has a NUL, and PostgreSQL refuses text with one.
        if after.contains('\0') {
            return Err(unknown());
        }
        let sort_key = Listing {
            columns: "t.created_at, t.seq",
            ..*self
        };
        let found = sort_key.retrieve(connection, after).await?;
        found.ok_or_else(unknown)
    }

    fn and<'b>(&'b self, more: &[Value<'b>]) -> Vec<Value<'b>> {
        self.values.iter().chain(more).copied().collect()
    }
}
