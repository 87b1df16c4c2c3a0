//! Reading a property that may be absent but not null.

use serde::{Deserialize, Deserializer};

/// For `deserialize_with`, together with `default`: serde by itself reads null as absent, which
/// would hide a mistake.
pub(crate) fn not_null<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
