//! Durations written as Go writes them: `30s`, `1m`, `1h30m`, `168h`; and, beyond Go, in days: `7d`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, parsed as Go's `time.ParseDuration` does, but never negative, and with `d` for days of 24 hours.
///
/// A number without a unit is refused (but for `0`): in `registry:2` it would mean nanoseconds, which nobody wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(Duration);

impl GoDuration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The standard library's type.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<GoDuration> for Duration {
    fn from(duration: GoDuration) -> Self {
        duration.0
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for GoDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or_else(|| {
            format!("`{text}` is not a duration: write for example `30s`, `1h30m` or `7d`")
        })
    }
}

/// The unit that Go does not have. It is read and never printed, so that `registry:2` reads what is.
const DAY: &str = "d";

/// Units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u64); 9] = [
    (DAY, 24 * 3_600_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
];

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scale(number, *nanoseconds)?)?;
        rest = after;
    }
    Some(Duration::from_nanos(total))
}

/// `1.5` times a unit, in whole nanoseconds.
fn scale(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = u128::from(whole) * u128::from(unit);
    let mut place = u128::from(unit) * 1_000_000_000;
    let mut billionths = 0;
    for digit in fraction.bytes() {
        place /= 10;
        billionths += u128::from(digit - b'0') * place;
    }
    nanoseconds += billionths / 1_000_000_000;
    u64::try_from(nanoseconds).ok()
}

impl fmt::Display for GoDuration {
    /// The shortest spelling that parses back to the same value: `168h`, `1m30s`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only a `GoDuration` made from a `Duration` of more than 584 years saturates here.
        let mut left = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if left == 0 {
            return f.write_str("0s");
        }
        for (unit, nanoseconds) in UNITS.iter().filter(|(unit, _)| unit.is_ascii() && *unit != DAY)
        {
            if left >= *nanoseconds {
                write!(f, "{}{unit}", left / nanoseconds)?;
                left %= nanoseconds;
            }
        }
        Ok(())
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "x-berth-type": "duration",
            "pattern": "^\\+?(0|(([0-9]+\\.?[0-9]*|\\.[0-9]+)(d|h|m|s|ms|us|\u{b5}s|\u{3bc}s|ns))+)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_as_in_go() {
        let cases = [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("30s", Duration::from_secs(30)),
            ("+5s", Duration::from_secs(5)),
            ("1h30m", Duration::from_secs(5400)),
            ("168h", Duration::from_secs(604_800)),
            ("7d", Duration::from_secs(604_800)),
            ("1d12h", Duration::from_secs(129_600)),
            ("1.5h", Duration::from_secs(5400)),
            (".5s", Duration::from_millis(500)),
            ("1.s", Duration::from_secs(1)),
            ("1m0.25s", Duration::from_millis(60_250)),
            ("10\u{b5}s", Duration::from_micros(10)),
            ("0.333333333333333333333h", Duration::from_nanos(1_199_999_999_999)),
            ("3ns", Duration::from_nanos(3)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<GoDuration>().map(GoDuration::get), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "+",
            "-1s",
            "60",
            "1",
            "s",
            ".s",
            "1.2.3s",
            "1w",
            "1 s",
            "1h ",
            "99999999999h",
            "\u{661}s",
            "h1",
        ] {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_printed_duration_parses_back() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (604_800_000_000_000, "168h"),
            (90_000_000_000, "1m30s"),
            (250_000_000, "250ms"),
            (1_000_001, "1ms1ns"),
        ] {
            let duration = GoDuration::from(Duration::from_nanos(nanoseconds));
            assert_eq!(duration.to_string(), text);
            assert_eq!(text.parse(), Ok(duration));
        }
    }
}
