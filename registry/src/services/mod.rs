//! What the registry does, without HTTP: one file a subject, each an `impl` block of
//! [`crate::Registry`].

mod blobs;
mod body;
mod catalog;
mod health;
mod housekeeping;
mod ingest;
mod leases;
mod manifests;
mod outbox;
mod referrers;
mod tags;
mod tasks;
mod uploads;

use std::time::Duration;

pub(crate) use body::{BodyPump, BodyReader, body};
pub(crate) use health::StorageHealth;
pub(crate) use manifests::PushManifest;
pub use tasks::BackgroundTasks;
pub(crate) use uploads::ChunkPlace;

/// How long a blob that no manifest needs is kept from collection after a push or mount: long
/// enough for the slowest client to push the rest of its image.
const LEASE: Duration = Duration::from_secs(24 * 60 * 60);
