use std::fmt;

use berth_config::{GoDuration, Keep, NamedRule};

/// What becomes of a tag, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict<'r> {
    /// It stays.
    Keep(Reason<'r>),
    /// It goes: no entry of the rule keeps it.
    Delete,
}

impl Verdict<'_> {
    pub(crate) fn keeps(&self) -> bool {
        matches!(self, Self::Keep(_))
    }
}

/// Why a tag stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reason<'r> {
    /// It goes with the manifest that it is attached to, and is not judged.
    Attached,
    /// It is immutable.
    Immutable(NamedRule),
    /// The rule has no entries, and so says nothing of tags.
    AllTags,
    /// An entry keeps it, by this condition.
    Kept(&'r Keep, Condition),
}

/// A condition of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// None: the entry keeps all that it is about.
    Named,
    NewestPushed(u32),
    NewestPulled(u32),
    NewestVersions(u32),
    PushedWithin(GoDuration),
    PulledWithin(GoDuration),
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(reason) => reason.fmt(f),
            Self::Delete => f.write_str("no rule keeps it"),
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attached => f.write_str("goes with what it is attached to"),
            Self::Immutable(rule) => write!(f, "immutable by {rule}"),
            Self::AllTags => f.write_str("the rule keeps all tags"),
            Self::Kept(keep, Condition::Named) => {
                f.write_str("named by ")?;
                named(keep, f)
            }
            Self::Kept(keep, condition) => {
                condition.fmt(f)?;
                if keep.tags.is_empty() && keep.semver.is_none() {
                    return Ok(());
                }
                f.write_str(" of ")?;
                named(keep, f)
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => Ok(()),
            Self::NewestPushed(count) => write!(f, "newest {count} pushed"),
            Self::NewestPulled(count) => write!(f, "newest {count} pulled"),
            Self::NewestVersions(count) => write!(f, "newest {count} versions"),
            Self::PushedWithin(time) => write!(f, "pushed within {time}"),
            Self::PulledWithin(time) => write!(f, "pulled within {time}"),
        }
    }
}

/// The tags that an entry is about.
fn named(keep: &Keep, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (place, glob) in keep.tags.iter().enumerate() {
        let comma = if place == 0 { "" } else { ", " };
        write!(f, "{comma}{glob}")?;
    }
    match &keep.semver {
        Some(semver) if keep.tags.is_empty() => write!(f, "semver {semver}"),
        Some(semver) => write!(f, " and semver {semver}"),
        None => Ok(()),
    }
}
