//! What becomes of a blob that nothing may need any longer: the decisions, without the tables.
//!
//! A repository's *link* to a blob is kept while a manifest of the repository needs the blob (it is
//! *pinned*), and as long as somebody was promised so: an upload, a mount and a `HEAD` each give a
//! *lease*, because the manifest comes only after them. A blob without links becomes *garbage*: its
//! record goes in the transaction that takes the last link, and its bytes after a while, in a
//! second step that another transaction begins.
//!
//! A store that finds a blob by its digest puts the bytes of a new push where the garbage lies. So a
//! push takes what waits out of the garbage, and where the removal has begun it waits for its end
//! and looks whether its bytes are still there. Stores that give each upload a name of its own never
//! meet that case.
//!
//! What was deleted can be had back for a while, if that is wanted: the links of a deleted manifest get
//! a lease to the end of that time, which is a promise like any other.
//!
//! Both engines call these functions inside of the transaction that carries out what they say, on rows
//! that nobody else can change meanwhile. The model in `tests/lifecycle/` calls the same.

use std::time::{Duration, SystemTime};

/// How long a link that a manifest needs is left alone. Whatever takes the manifest away has it
/// looked at sooner; this is for what nobody has thought of.
pub const RECHECK: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A repository's link to a blob, as the collector finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Whether a manifest of the repository needs the blob.
    pub pinned: bool,
    /// Until when the link was promised to stay.
    pub leased_until: SystemTime,
}

/// What is to be done with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It stays, and is looked at again at this time.
    Keep(SystemTime),
    /// It goes.
    Unlink,
}

/// Judges a link whose time of review has come.
#[must_use]
pub fn review(link: Link, now: SystemTime) -> Verdict {
    if link.pinned {
        return Verdict::Keep(now + RECHECK);
    }
    if link.leased_until > now {
        return Verdict::Keep(link.leased_until);
    }
    Verdict::Unlink
}

/// Until when a link stays that a deleted manifest needed, so that the deletion can be undone until
/// `until`.
#[must_use]
pub fn lease_after_deletion(leased_until: SystemTime, until: SystemTime) -> SystemTime {
    leased_until.max(until)
}

/// When a link is to be looked at once a manifest that needed the blob was deleted: not before `grace`
/// is over, because pulls that have begun go on.
#[must_use]
pub fn review_after_deletion(
    leased_until: SystemTime,
    now: SystemTime,
    grace: Duration,
) -> SystemTime {
    leased_until.max(now + grace)
}

/// Whether a deletion can still be undone. From `until` on its links may go, and so it is forgotten.
#[must_use]
pub fn may_restore(until: SystemTime, now: SystemTime) -> bool {
    until > now
}

/// Whether a `HEAD` has to renew a lease of which so much is left, so that the link stays for half of
/// `lease` at least. Less often than at every `HEAD`: each renewal is a write.
#[must_use]
pub fn must_renew(left: Duration, lease: Duration) -> bool {
    left < lease / 2
}

/// Bytes that no repository links any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Garbage {
    /// They are not removed before this time. Once they are gone: until when that is remembered.
    pub remove_at: SystemTime,
    /// How far the removal is.
    pub removal: Removal,
}

/// How far the removal of bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// Not begun.
    Waiting,
    /// Somebody is at it.
    Running {
        /// For the how manieth time it was begun.
        round: u64,
        /// When it is over, as far as was said.
        until: SystemTime,
    },
    /// It was tried, and the bytes may be there or not.
    Failed {
        /// How often it was begun.
        round: u64,
    },
    /// The bytes were removed.
    Gone {
        /// How often it was begun.
        round: u64,
    },
}

impl Removal {
    /// Whether somebody may be removing the bytes at the moment. Who has died does not, once the time is over
    /// that was said; where a manifest has come to stand for the file meanwhile nobody goes on either.
    #[must_use]
    pub fn is_running(self, now: SystemTime) -> bool {
        matches!(self, Self::Running { until, .. } if until > now)
    }
}

/// How long it is remembered that bytes were removed. A push puts its bytes in place and records
/// them in less time, or looks after them once more ([`MUST_LOOK`]).
pub const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// A push that takes longer from the placing of its bytes to their recording than this looks whether
/// they are still there.
pub const MUST_LOOK: Duration = Duration::from_secs(2 * 60);

/// Whether a collector may begin to remove the bytes, or go on for one that has died.
#[must_use]
pub fn may_remove(garbage: Garbage, now: SystemTime) -> bool {
    let is_free = match garbage.removal {
        Removal::Waiting | Removal::Failed { .. } => true,
        Removal::Running { until, .. } => until <= now,
        Removal::Gone { .. } => false,
    };
    is_free && garbage.remove_at <= now
}

/// Whether a removal can be forgotten.
#[must_use]
pub fn may_forget(garbage: Garbage, now: SystemTime) -> bool {
    matches!(garbage.removal, Removal::Gone { .. }) && garbage.remove_at <= now
}

/// What a push finds where its bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nothing stands against it.
    Free,
    /// There was garbage, which is none any longer: the bytes are there.
    Revived,
    /// A removal is running, or was: the push waits for its end and looks whether its bytes are
    /// there. That the time of a running one is over tells nothing: whoever was at it may still be.
    Unsure,
}

/// Judges the place of a push that has looked after its bytes when the last removal, the `seen`th,
/// was over.
#[must_use]
pub fn place(garbage: Option<Garbage>, seen: Option<u64>) -> Place {
    match garbage.map(|garbage| garbage.removal) {
        None => Place::Free,
        Some(Removal::Waiting) => Place::Revived,
        Some(Removal::Failed { round } | Removal::Gone { round }) if seen == Some(round) => {
            Place::Revived
        }
        Some(_) => Place::Unsure,
    }
}
