//! What a registry says of how much may be asked of it.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");

/// A limit on requests, as Docker Hub tells it of pulls: `RateLimit-Limit: 100;w=21600`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many there may be in a window.
    pub limit: u64,
    /// How many are left.
    pub remaining: u64,
    /// How long the window is, if that was said.
    pub window: Option<Duration>,
}

impl RateLimit {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let (limit, window) = read(headers, &LIMIT)?;
        let (remaining, _) = read(headers, &REMAINING)?;
        Some(Self { limit, remaining, window })
    }
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Option<(u64, Option<Duration>)> {
    let mut parts = headers.get(name)?.to_str().ok()?.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    Some((number, window.map(Duration::from_secs)))
}

/// When to ask again, in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn the_hubs_headers_are_read() {
        let both = [("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")];
        let window = Some(Duration::from_secs(21600));
        let limit = RateLimit { limit: 100, remaining: 76, window };
        assert_eq!(RateLimit::of(&headers(&both)), Some(limit));
        assert_eq!(RateLimit::of(&headers(&both[..1])), None);
        let nonsense = [("ratelimit-limit", "many"), ("ratelimit-remaining", "-1")];
        assert_eq!(RateLimit::of(&headers(&nonsense)), None);
    }

    #[test]
    fn a_wait_is_told_in_seconds_or_as_a_date() {
        let after = |text| retry_after(&headers(&[("retry-after", text)]));
        assert_eq!(after("120"), Some(Duration::from_secs(120)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
        let later = SystemTime::now() + Duration::from_secs(600);
        let wait = after(&httpdate::fmt_http_date(later)).unwrap();
        assert!(wait > Duration::from_secs(590), "{wait:?}");
    }
}
