//! Members that are `null` in the Engine API where there is nothing to tell.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads `null` as nothing. Clients send either.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads as [`null_is_default`] does.
pub(super) fn deserialize<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    null_is_default(deserializer)
}

/// Writes nothing as `null`.
pub(super) fn serialize<S, T>(value: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    T: Default + PartialEq + Serialize,
{
    if *value == T::default() { serializer.serialize_none() } else { value.serialize(serializer) }
}
