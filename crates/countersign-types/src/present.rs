//! Reading a property that may be absent but not null.

use serde::{Deserialize, Deserializer};

/// For `deserialize_with`, beside `default`: serde on its own reads null as absent, which would
/// take a mistake for a wish.
pub(crate) fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
