//! How much is done: all of it, or what takes a few minutes.

use std::env;
use std::time::Duration;

/// The numbers of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Blobs that are uploaded in chunks while replicas die.
    pub(crate) uploads: u64,
    /// How often a replica dies meanwhile, at least.
    pub(crate) kills: u64,
    /// Clients that move one tag.
    pub(crate) movers: u64,
    /// How often each of them does.
    pub(crate) moves: u64,
    /// How long PostgreSQL is away.
    pub(crate) outage: Duration,
    /// How long the load goes on before and after.
    pub(crate) calm: Duration,
}

impl Size {
    /// What `BERTH_REPLICAS_SIZE` says.
    pub(crate) fn from_environment() -> Self {
        if env::var("BERTH_REPLICAS_SIZE").is_ok_and(|size| size == "short") {
            return Self {
                uploads: 150,
                kills: 3,
                movers: 50,
                moves: 4,
                outage: Duration::from_secs(3),
                calm: Duration::from_secs(2),
            };
        }
        Self {
            uploads: 1000,
            kills: 12,
            movers: 200,
            moves: 10,
            outage: Duration::from_secs(10),
            calm: Duration::from_secs(5),
        }
    }
}
