//! Lists: one page at a time, or every entry as a stream.

use countersign_types::page::{Listed, Order, Page};
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use serde::de::DeserializeOwned;

use crate::{Client, Error, request::Request};

/// Every entry of a list; pages are fetched as it is read. It ends after an error.
pub type ItemStream<T> = BoxStream<'static, Result<T, Error>>;

/// Which page of a list to fetch. The server's default is 20 entries, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListParams {
    /// The most entries of a page, 1 to 100.
    pub limit: Option<u32>,
    /// The id of the entry before the page: the `last_id` of the previous page.
    pub after: Option<String>,
    /// The order, by `created_at`. Lists of projects, service accounts and project keys have no
    /// order in the reference, and OpenAI's server ignores this for them.
    pub order: Option<Order>,
}

impl ListParams {
    /// Adds everything but the cursor to a request.
    pub(crate) fn apply(&self, request: Request) -> Request {
        let order = self.order.map(|order| match order {
            Order::Asc => "asc",
            Order::Desc => "desc",
        });
        request.query("limit", self.limit).query("order", order)
    }
}

impl Client {
    /// The page of `request` that starts after a cursor.
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        request: Request,
        after: Option<&str>,
    ) -> Result<crate::Response<Page<T>>, Error> {
        self.send(request.query("after", after)).await
    }

    /// Every entry of `request`'s list from a cursor on.
    pub(crate) fn pages<T>(&self, request: Request, after: Option<String>) -> ItemStream<T>
    where
        T: DeserializeOwned + Listed + Send + 'static,
    {
        let client = self.clone();
        let fetch = move |cursor: Option<Option<String>>| {
            let (client, request) = (client.clone(), request.clone());
            async move {
                let Some(after) = cursor else {
                    return Ok(None);
                };
                let page = client.page::<T>(request, after.as_deref()).await?;
                let next = next(&page);
                if next.is_some() && next == after {
                    return Err(client.stuck(page.request_id));
                }
                let page = page.value;
                let entries = stream::iter(page.data.into_iter().map(Ok));
                Ok(Some((entries, next.map(Some))))
            }
        };
        stream::try_unfold(Some(after), fetch).try_flatten().boxed()
    }

    /// A cursor that does not move would be requested forever.
    fn stuck(&self, request_id: Option<String>) -> Error {
        Error::Decode {
            origin: self.inner.origin(),
            reason: "the page ends with the entry that it was to start after".to_owned(),
            request_id,
        }
    }
}

/// The cursor of the next page, if there is one. Other servers may leave `last_id` out.
fn next<T: Listed>(page: &Page<T>) -> Option<String> {
    let last = page.data.last().filter(|_| page.has_more)?;
    let cursor = page.last_id.as_deref().unwrap_or_else(|| last.id());
    Some(cursor.to_owned())
}
