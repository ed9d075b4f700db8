//! Connections: listening, timeouts, limits, draining, and sending files.

mod connection;
mod deadline;
mod listener;
mod repoll;
pub(crate) mod sendfile;

pub use listener::{Listener, Server};
