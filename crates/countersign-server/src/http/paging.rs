//! Which page of a list is asked for.

use std::{marker::PhantomData, str::FromStr};

use countersign_types::page::{DEFAULT_LIMIT, MAX_LIMIT, MIN_LIMIT, Order};
use serde::Deserialize;
use serde_json::json;
use utoipa::{
    IntoParams,
    openapi::{RefOr, Schema},
};

use super::{
    call::Call,
    contract::Contract,
    error::ApiError,
    extract::Extract,
    query::{Query, WholeOr},
};
use crate::store::PageRequest;

/// Which end of a list comes first when the caller does not say.
pub(super) trait DefaultOrder: Send + 'static {
    const ORDER: Order;
}

/// Newest first.
pub(super) struct NewestFirst;
/// Oldest first.
pub(super) struct OldestFirst;

impl DefaultOrder for NewestFirst {
    const ORDER: Order = Order::Desc;
}

impl DefaultOrder for OldestFirst {
    const ORDER: Order = Order::Asc;
}

/// How many entries a page may hold.
pub(super) type Limit = WholeOr<1, 100, 20>;
const _: () = assert!(
    MIN_LIMIT == 1 && MAX_LIMIT == 100 && DEFAULT_LIMIT == 20,
    "`Limit` has these numbers"
);

impl Limit {
    pub(super) fn get(self) -> u32 {
        u32::try_from(self.0).unwrap_or(DEFAULT_LIMIT)
    }
}

/// A page of a list whose entries have such ids.
pub(super) struct Paging<Id, First = NewestFirst> {
    pub(super) request: PageRequest,
    entries: PhantomData<fn() -> (Id, First)>,
}

#[derive(Deserialize, IntoParams)]
struct PageQuery {
    /// The most entries that the page may hold.
    #[serde(default)]
    #[param(inline)]
    limit: Limit,
    /// The id of the entry that the page follows: `last_id` of the page before.
    #[param(nullable = false)]
    after: Option<String>,
    /// Which end comes first, by `created_at`.
    #[param(inline, nullable = false)]
    order: Option<Order>,
}

impl<Id: FromStr + 'static, First: DefaultOrder> Extract for Paging<Id, First> {
    fn extract(call: &mut Call) -> Result<Self, ApiError> {
        let Query(query) = Query::<PageQuery>::extract(call)?;
        Ok(Self {
            request: PageRequest {
                limit: query.limit.get(),
                after: cursor::<Id>("after", query.after)?,
                order: query.order.unwrap_or(First::ORDER),
            },
            entries: PhantomData,
        })
    }

    fn describe(contract: &mut Contract) {
        Query::<PageQuery>::describe(contract);
        let order = contract.query.iter_mut().find(|each| each.name == "order");
        if let Some(RefOr::T(Schema::Object(order))) = order.and_then(|each| each.schema.as_mut()) {
            order.default = Some(json!(First::ORDER));
        }
    }
}

/// A cursor: the id of an entry of the list that is asked for.
pub(super) fn cursor<Id: FromStr>(
    name: &'static str,
    given: Option<String>,
) -> Result<Option<String>, ApiError> {
    match given {
        Some(text) if text.parse::<Id>().is_err() => Err(ApiError::unknown_cursor(name)),
        given => Ok(given),
    }
}
