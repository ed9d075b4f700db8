//! Volumes: folders that outlive containers.
//!
//! ```text
//! <data>/volumes/             0700
//!   lock                      shared by who uses volumes, held alone by who removes some
//!   <name>/
//!     volume.json             what it is
//!     _data/                  what containers see
//!     used                    a container has had it: it is not filled from an image again
//!   .new-<random>/            one that is being made
//!   .gone-<random>/           one that is being removed
//! ```
//!
//! A volume comes and goes by a rename. What a crash leaves under a name with a dot is removed by the
//! next command that removes or lists something.

mod copy;
mod error;
mod points;
mod store;

pub use error::VolumeError;
pub use store::{InUse, NewVolume, Pruned, Volume, VolumeStore, VolumeUsers};
