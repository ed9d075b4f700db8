//! Moving in from another registry, and never losing what was moved: imports of trees that other registries have
//! made, damage of every kind, backups, and databases that are lost.
//!
//! The tests need the optimised build. So they are ignored unless `cargo xtask faults` asks for them by name.

mod backups;
mod buckets;
mod client;
mod corruption;
mod damage;
mod exports;
mod flips;
mod journal;
mod kills;
mod moving_in;
mod old_registry;
mod reindex;
