//! Containers: what is known of each, its monitor, and all that is done with it.
//!
//! [`Engine`] is what commands work with. A container is a folder (`store`); a container that runs has a
//! process besides, its monitor (`monitor`), and that is all there is: no daemon. What a container is now is
//! found by looking, at the process that was written down and at the cgroup; and whoever finds that somebody was
//! killed in the middle of something gives back what is left (`collect`).

mod attach;
mod begun;
mod collect;
mod console;
mod create;
mod engine;
mod error;
mod exec;
mod id;
mod inspect;
mod keys;
mod lifecycle;
mod list;
mod logs;
mod monitor;
mod names;
mod network;
mod process;
mod ps;
mod record;
mod remove;
mod runtime;
mod store;
mod top;
mod users;
mod volumes;
mod wire;

pub use attach::{Attachment, Ending, Interaction};
pub use create::{CreateRequest, Created};
pub use engine::Engine;
pub use error::ContainerError;
pub use exec::ExecRequest;
pub use id::ContainerId;
pub use keys::DetachKeys;
pub use list::{Filter, Filters, parse_time};
pub use logs::{Attributes, Entry, LogOptions, LogQuery, Stream};
pub use record::{Container, Ended, Record, Status};
pub use top::Processes;
