//! Times as RFC 3339 has them.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::Problem;

/// A time, in UTC and to the second.
pub(super) fn text(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time that somebody wrote.
pub(super) fn read(name: &str, text: &str) -> Result<SystemTime, Problem> {
    let time: Timestamp = text.parse().map_err(|_| {
        Problem::invalid(format!("{name} is a time such as 2030-01-31T12:00:00Z, not `{text}`"))
    })?;
    Ok(time.into())
}

/// The same where there may be none.
pub(super) fn read_option(name: &str, text: Option<String>) -> Result<Option<SystemTime>, Problem> {
    text.map(|text| read(name, &text)).transpose()
}

/// Tells a field that is there and `null` from one that is not there.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}
