//! Pages of lists.

use serde::{Deserialize, Serialize};

use crate::or_unknown::OrUnknown;

/// The smallest page that can be requested.
pub const MIN_LIMIT: u32 = 1;
/// The largest page that can be requested.
pub const MAX_LIMIT: u32 = 100;
/// How many entries a page has by default.
pub const DEFAULT_LIMIT: u32 = 20;

/// The order of a list: by `created_at`, then by insertion.
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
    #[cfg_attr(feature = "openapi", schema(value_type = ListObject))]
    pub object: OrUnknown<ListObject>,
    /// The entries.
    pub data: Vec<T>,
    /// The id of the first entry, or null when the page is empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub first_id: Option<String>,
    /// The id of the last entry, or null when the page is empty: `after` for the next page.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub last_id: Option<String>,
    /// Whether there is a next page.
    pub has_more: bool,
}

/// The object type `list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ListObject {
    /// `list`
    #[default]
    #[serde(rename = "list")]
    List,
}

/// An entry of a list.
pub trait Listed {
    /// The id that is used as a cursor.
    fn id(&self) -> &str;
}

impl<T: Listed> Page<T> {
    /// A page of these entries.
    #[must_use]
    pub fn new(data: Vec<T>, has_more: bool) -> Self {
        Self {
            object: ListObject::List.into(),
            first_id: data.first().map(|entry| entry.id().to_owned()),
            last_id: data.last().map(|entry| entry.id().to_owned()),
            data,
            has_more,
        }
    }
}
