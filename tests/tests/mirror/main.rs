//! The real binary as a mirror of registries that nobody here wrote, and of itself, on good days and bad ones.
//!
//! The tests need a build of it, and Debian's docker-registry. So they are ignored unless `cargo xtask faults` asks for
//! them by name.

mod bounds;
mod commands;
mod credentials;
mod crowd;
mod faults;
mod freshness;
mod push;
mod reindex;
mod replicas;
mod routes;
mod scene;
mod stores;
mod tls;
mod trust;
