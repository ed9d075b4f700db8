//! How lines of the audit log are written and asked for.

use std::borrow::Cow;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::codes::Coded;
use super::{AuditFilter, NewAudit};
use crate::encoding::micros;

/// The most bytes of a text that an index holds: more than any name has, and less than a page of an
/// index takes.
const MAX_INDEXED: usize = 1000;

/// The lines as one JSON array of arrays, in the order of the columns.
///
/// Whoever is refused may have called himself anything, and a name that no database takes must not
/// keep the line out of the log.
pub(crate) fn rows(entries: &[NewAudit]) -> String {
    entries.iter().map(row).collect::<Value>().to_string()
}

fn row(entry: &NewAudit) -> Value {
    json!([
        micros(entry.time),
        storable(cut(&entry.actor)),
        storable(&entry.action),
        storable(cut(&entry.target)),
        entry.reference.as_deref().map(storable),
        entry.digest.as_deref().map(storable),
        entry.source.as_deref().map(storable),
        entry.outcome.code(),
        entry.detail.as_deref().map(storable),
        entry.request.as_deref().map(storable),
    ])
}

/// A text of the log, changed where no column takes it.
pub(crate) type Text<'a> = Cow<'a, str>;

/// A text as it stands in a line. PostgreSQL has no place for a zero in a text.
pub(crate) fn storable(text: &str) -> Text<'_> {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}").into(),
        false => text.into(),
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_INDEXED)]
}

/// By which index lines are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order<'a> {
    /// That of an actor, with the target that is asked for too.
    Actor(Text<'a>, Option<Text<'a>>),
    /// That of a target.
    Target(Text<'a>),
    /// That of all lines.
    Time,
}

impl<'a> Order<'a> {
    /// The one with the fewest lines to look at.
    pub(crate) fn of(filter: &'a AuditFilter) -> Self {
        let column = |text: &'a Option<String>| text.as_deref().map(|text| storable(cut(text)));
        match (column(&filter.actor), column(&filter.target)) {
            (Some(actor), target) => Self::Actor(actor, target),
            (None, Some(target)) => Self::Target(target),
            (None, None) => Self::Time,
        }
    }
}

/// The place that lines are before, in the order of time and number: that of the line `before`, and the
/// end that is asked for.
pub(crate) fn upper(filter: &AuditFilter, before: Option<(i64, i64)>) -> (i64, i64) {
    let before = before.unwrap_or((i64::MAX, i64::MAX));
    match filter.until.map(micros) {
        Some(until) => before.min((until, i64::MIN)),
        None => before,
    }
}

/// The least time that is asked for.
pub(crate) fn lower(since: Option<SystemTime>) -> i64 {
    since.map_or(i64::MIN, micros)
}
