//! `--filter`.

use anyhow::{Result, bail};
use berth_runner::images::{Image, ImageReference, ImageStore};
use jiff::{Span, Timestamp};

/// A label, and its value where one was named.
pub(super) type Label = (String, Option<String>);

/// Which images are listed: all conditions hold, of those of one name one.
#[derive(Debug, Default)]
pub(super) struct Filters {
    dangling: Option<bool>,
    references: Vec<String>,
    labels: Vec<Label>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Filters {
    pub(super) fn read(texts: &[String], images: &ImageStore) -> Result<Self> {
        let mut filters = Self::default();
        for text in texts {
            let (name, value) = pair(text)?;
            let created = |value| Ok::<_, anyhow::Error>(images.find(value)?.config.created_at());
            match name {
                "dangling" => filters.dangling = Some(truth(name, value)?),
                "reference" => filters.references.push(value.to_owned()),
                "label" => filters.labels.push(label(value)),
                "before" => filters.before = created(value)?,
                "since" => filters.since = created(value)?,
                "until" => filters.before = Some(time(value)?),
                other => bail!("invalid filter '{other}'"),
            }
        }
        Ok(filters)
    }

    /// Whether an image is shown at all.
    pub(super) fn takes(&self, image: &Image) -> bool {
        let created = image.config.created_at();
        let has = |(name, value): &Label| {
            let label = image.config.config.labels.get(name);
            label.is_some_and(|label| value.as_ref().is_none_or(|value| value == label))
        };
        self.dangling.is_none_or(|dangling| dangling == image.names.is_empty())
            && self.labels.iter().all(has)
            && self.before.is_none_or(|before| created.is_none_or(|created| created < before))
            && self.since.is_none_or(|since| created.is_some_and(|created| created > since))
            && (self.references.is_empty()
                || image.names.iter().chain(&image.digests).any(|name| self.takes_name(name)))
    }

    /// Whether a name of it is shown.
    pub(super) fn takes_name(&self, name: &str) -> bool {
        let Ok(reference) = name.parse::<ImageReference>() else { return false };
        let repository = reference.familiar_repository();
        self.references.is_empty()
            || self
                .references
                .iter()
                .any(|pattern| matches(pattern, name) || matches(pattern, &repository))
    }
}

/// `NAME=VALUE`; with `label!=…` the mark of negation belongs to the name.
pub(super) fn pair(text: &str) -> Result<(&str, &str)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.trim(), value.trim())),
        _ => bail!(
            "invalid argument {text:?} for \"--filter\" flag: bad format of filter (expected name=value)"
        ),
    }
}

pub(super) fn label(text: &str) -> Label {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn truth(name: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => bail!("invalid filter '{name}={other}'"),
    }
}

/// A moment, in seconds since 1970, as RFC 3339 has it, as a date, or as a time before now: `24h`, `1h30m`.
pub(super) fn time(text: &str) -> Result<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(Timestamp::from_second(seconds)?);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        return Ok(date.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp());
    }
    match text.parse::<Span>() {
        Ok(span) => Ok(Timestamp::now().checked_sub(span)?),
        Err(_) => bail!("failed to parse value as time or duration: {text:?}"),
    }
}

/// Whether a pattern of a shell matches: `*` and `?` stop at a slash.
fn matches(pattern: &str, text: &str) -> bool {
    fn from(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                from(rest, text)
                    || text
                        .split_first()
                        .is_some_and(|(byte, more)| *byte != b'/' && from(pattern, more))
            }
            ([b'?', rest @ ..], [byte, more @ ..]) => *byte != b'/' && from(rest, more),
            ([wanted, rest @ ..], [byte, more @ ..]) => wanted == byte && from(rest, more),
            _ => false,
        }
    }
    // Longer ones are no names, and would take long.
    pattern.len() <= 512 && from(pattern.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stop_at_slashes() {
        for (pattern, text, does) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox:1", true),
            ("*", "team/app", false),
            ("*/*", "team/app", true),
            ("b?sybox:*", "busybox:latest", true),
            ("busy", "busybox", false),
        ] {
            assert_eq!(matches(pattern, text), does, "{pattern} {text}");
        }
    }

    #[test]
    fn times_are_read_in_all_their_forms() {
        let second = |text: &str| time(text).unwrap().as_second();
        assert_eq!(second("1000"), 1000);
        assert_eq!(second("1970-01-01T00:01:00Z"), 60);
        assert_eq!(second("1970-01-02"), 86_400);
        let hour_ago = Timestamp::now().as_second() - 3600;
        assert!((second("1h") - hour_ago).abs() < 10 && (second("60m") - hour_ago).abs() < 10);
        assert!(time("soon").is_err());
    }
}
