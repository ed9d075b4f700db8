//! The store for many processes: PostgreSQL, which any number of replicas share.
//!
//! - `servers` finds the one of the configured servers that takes writes; `connections` are a few
//!   connections to it, `engine` reads and writes with them, tries again what can be tried again
//!   and limits the time that anything may take.
//! - `lookups` has manifests and blobs that are asked for at the same time looked up by one
//!   statement; `known` has what was read before, so that the statement need not bring it again.
//! - `standbys` are read replicas, for listings.
//! - `blobs`, `links`, `collection`, `deletion`, `manifests`, `removal`, `restore`, `tags`, `referrers`,
//!   `repositories`, `untagged`, `expiry`, `mirrored`, `eviction`, `uploads`, `outbox`, `events`, `jobs`, `accounts`, `upkeep` and
//!   `settings` hold the SQL, by subject.
//!
//! Nothing here believes the clock of this machine: every time that is stored or compared is the
//! server's.

mod accounts;
mod blobs;
mod collection;
mod connections;
mod deletion;
mod engine;
mod events;
mod eviction;
mod expiry;
mod explain;
mod jobs;
mod known;
mod links;
mod lookups;
mod manifests;
mod migrations;
mod mirrored;
mod options;
mod outbox;
mod referrers;
mod removal;
mod repositories;
mod restore;
mod servers;
mod session;
mod settings;
mod standbys;
mod store;
mod tags;
#[cfg(test)]
mod tests;
mod untagged;
mod upkeep;
mod uploads;
mod usage;

pub(crate) use explain::explain;
pub use options::{Pooling, PostgresOptions};
pub(crate) use session::Session;
pub use store::PostgresStore;
pub(crate) use store::{transfer_session, would_migrate};

/// The server's time in microseconds since 1970, as SQL.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}
use now;
