//! The rows, the bytes, and where everybody stands.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_metadata::lifecycle::{Garbage, Link, Removal, may_restore};

/// The length of a tick. Longer than a push may take without looking after its bytes.
pub const TICK: Duration = Duration::from_secs(5 * 60);
pub const LEASE: u8 = 2;
pub const GRACE: u8 = 1;
/// How long what was deleted can be had back.
pub const UNDELETE: u8 = 2;
/// How long a collector says that it takes.
pub const REMOVAL: u8 = 2;
pub const END: u8 = 6;

pub fn at(tick: u8) -> SystemTime {
    UNIX_EPOCH + TICK * u32::from(tick)
}

pub fn ticks(number: u8) -> Duration {
    TICK * u32::from(number)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub now: u8,
    /// The row of the blob.
    pub record: bool,
    pub link: Option<LinkRow>,
    pub manifest: bool,
    /// Until when the manifest can be had back, if it was deleted.
    pub deleted: Option<u8>,
    pub garbage: Option<GarbageRow>,
    /// How many rows of garbage there were.
    pub rows: u8,
    /// Whether the store has the bytes.
    pub bytes: bool,
    pub pushers: [Pusher; 2],
    pub collectors: [Collector; 2],
    /// When somebody looked the blob up, whose reading may take as long as the grace period.
    pub reader: Option<u8>,
    pub deaths: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkRow {
    pub leased_until: SystemTime,
    pub review_at: SystemTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GarbageRow {
    pub row: u8,
    pub garbage: Garbage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pusher {
    Idle,
    /// The bytes were put into their place, or seen there after the removal `seen`. They have to be looked after again
    /// when it is `late`.
    Placed {
        seen: Option<u64>,
        late: bool,
    },
    /// It was told that a removal is or was in its way.
    Unsure,
    /// It was promised that the link stays until then.
    Promised {
        until: u8,
    },
    /// It has pushed a manifest.
    Done,
    /// The manifest was refused, or a read failed.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Collector {
    Idle,
    /// It was given the garbage at this tick.
    Taken {
        row: u8,
        round: u64,
        at: u8,
    },
    /// The bytes are removed.
    Removed {
        row: u8,
        round: u64,
    },
}

impl State {
    pub fn new() -> Self {
        Self {
            now: 0,
            record: false,
            link: None,
            manifest: false,
            deleted: None,
            garbage: None,
            rows: 0,
            bytes: false,
            pushers: [Pusher::Idle; 2],
            collectors: [Collector::Idle; 2],
            reader: None,
            deaths: 0,
        }
    }

    pub fn time(&self) -> SystemTime {
        at(self.now)
    }

    /// Whether a manifest was deleted and its time is not over.
    pub fn can_be_restored(&self) -> bool {
        self.deleted.is_some_and(|until| may_restore(at(until), self.time()))
    }

    /// The link as a collector judges it.
    pub fn judged(&self) -> Option<Link> {
        let link = self.link?;
        Some(Link { pinned: self.manifest, leased_until: link.leased_until })
    }

    /// What a transaction does that takes the last link.
    pub fn release(&mut self, grace: u8) {
        self.link = None;
        self.record = false;
        self.rows += 1;
        let remove_at = self.time() + ticks(grace);
        let garbage = Garbage { remove_at, removal: Removal::Waiting };
        // A row that was there is used again.
        let row = self.garbage.map_or(self.rows, |known| known.row);
        self.garbage = Some(GarbageRow { row, garbage });
    }
}
