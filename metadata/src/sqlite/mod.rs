//! The embedded store: one SQLite file in WAL mode, written by one task and read by a few
//! connections.
//!
//! - `writer` commits everything that is queued in one transaction (group commit).
//! - `connections` are the readers; each read is one statement, so one snapshot.
//! - `cache` answers repeated reads of manifests and blobs without SQL.
//! - `lookups` has manifests that are asked for at the same time looked up by one statement.
//! - `blobs`, `links`, `collection`, `deletion`, `manifests`, `removal`, `repositories`, `restore`, `tags`,
//!   `untagged`, `expiry`, `mirrored`, `eviction`, `uploads`, `outbox`, `events`, `accounts`, `upkeep` and `settings` hold the SQL, by
//!   subject.

mod accounts;
mod blobs;
mod cache;
mod collection;
mod connect;
mod connections;
mod deletion;
mod events;
mod eviction;
mod expiry;
mod explain;
mod links;
mod lookups;
mod manifests;
mod migrations;
mod mirrored;
pub(crate) mod open;
mod outbox;
mod referrers;
mod removal;
mod repositories;
mod restore;
mod settings;
mod store;
mod tags;
#[cfg(test)]
mod tests;
mod untagged;
mod upkeep;
mod uploads;
mod usage;
mod writer;

pub(crate) use migrations::schema;
pub use open::{SqliteLocation, SqliteOptions};
pub use store::SqliteStore;
