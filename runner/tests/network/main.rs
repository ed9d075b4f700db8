//! Networks in namespaces of their own: a host, the world beyond it, and containers. Traffic says
//! whether the rules are right.
//!
//! The tests need root, so they are ignored unless `cargo xtask runner` asks for them by name.
#![allow(clippy::unwrap_used)]

mod bridge;
mod host;
mod leftovers;
mod place;
mod publish;
