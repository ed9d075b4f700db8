//! What the cross-crate tests share: a registry as a process, outside programs run in a home of their own,
//! a plain reader of the Distribution API that believes nothing it has not hashed, and images to move about.
//!
//! Everything here talks to a registry from outside, as its users do, so the same tests run against Berth and
//! against Debian's `docker-registry` ([`Target`]).

pub mod authority;
pub mod checker;
pub mod conformance;
pub mod content;
pub mod disk;
pub mod fixtures;
pub mod home;
pub mod load;
pub mod process;
pub mod receiver;
pub mod refusal;
pub mod registry;
pub mod server;
pub mod stores;
pub mod strace;
pub mod tree;
pub mod wait;
pub mod wire;

pub use home::Home;
pub use registry::Registry;
pub use server::{Launch, Server, Target, berth_binary};
