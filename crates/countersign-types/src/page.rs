//! Lists: one page at a time, and how the next is asked for.

use serde::{Deserialize, Serialize};

/// The fewest entries that a page may be asked to hold.
pub const MIN_LIMIT: u32 = 1;
/// The most entries that a page may be asked to hold.
pub const MAX_LIMIT: u32 = 100;
/// How many entries a page holds when nothing is asked.
pub const DEFAULT_LIMIT: u32 = 20;

/// Which end of a list comes first, by `created_at`, ties by insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// Always `list`.
    pub object: ListObject,
    /// The entries.
    pub data: Vec<T>,
    /// The id of the first entry, null when there is none.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub first_id: Option<String>,
    /// The id of the last entry, null when there is none: `after` for the next page.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_id: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

/// The word `list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ListObject {
    /// `list`
    #[default]
    #[serde(rename = "list")]
    List,
}

/// An entry of a list, which has an id.
pub trait Listed {
    /// The id that a cursor names it by.
    fn id(&self) -> &str;
}

impl<T: Listed> Page<T> {
    /// A page of these entries.
    #[must_use]
    pub fn new(data: Vec<T>, has_more: bool) -> Self {
        Self {
            object: ListObject::List,
            first_id: data.first().map(|entry| entry.id().to_owned()),
            last_id: data.last().map(|entry| entry.id().to_owned()),
            data,
            has_more,
        }
    }
}
