use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use berth_metadata::{OutboxEntry, OutboxId};
use berth_storage_backends::{StoreError, StoreFiles};
use bytes::Bytes;
use tracing::debug;

use super::{Line, last, name};
use crate::{Registry, RegistryError};

/// How many changes are read of the outbox at a time.
const ROUND: u32 = 4096;

/// How many bytes an object has before it is cut.
const FULL: usize = 1 << 20;

/// For how long an object is known to be there that was written or seen. Objects are cut when a backup holds
/// what they tell, and the oldest backup is older.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The last object that this process knows of, and since when.
#[derive(Debug, Default)]
pub(crate) struct JournalPlace(Mutex<Option<(u64, Instant)>>);

impl JournalPlace {
    /// A number that no object has, as far as can be known, and whose predecessor is there.
    async fn next(&self, files: &dyn StoreFiles) -> Result<u64, StoreError> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some((number, since)) if since.elapsed() < KNOWN_FOR => Ok(number + 1),
            _ => Ok(last(files).await?.map_or(1, |last| last + 1)),
        }
    }

    fn set(&self, number: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, Instant::now()));
    }
}

impl Registry {
    /// Writes what the outbox holds into the journal.
    pub(crate) async fn drain_into_journal(
        &self,
        files: &dyn StoreFiles,
    ) -> Result<(), RegistryError> {
        loop {
            if self.metadata.outbox(1).await?.is_empty() {
                return Ok(());
            }
            let mut number = self.journal.next(files).await?;
            // Read after the place was found: see the head of `journal`.
            let entries = self.metadata.outbox(ROUND).await?;
            for object in objects(entries)? {
                if !object.content.is_empty() {
                    if !files.write_new(&name(number), object.content).await? {
                        // Of another process, or of ours, if it did not learn that it was written. What was
                        // read here may be old by now.
                        let last = last(files).await?.unwrap_or_default();
                        self.journal.set(last.max(number));
                        break;
                    }
                    self.journal.set(number);
                    number += 1;
                }
                debug!(changes = object.entries.len(), "changes are in the journal");
                self.metadata.outbox_done(&object.entries).await?;
            }
        }
    }
}

/// What goes into one object.
struct Object {
    content: Bytes,
    entries: Vec<OutboxId>,
}

fn objects(entries: Vec<OutboxEntry>) -> Result<Vec<Object>, RegistryError> {
    let mut objects = Vec::new();
    let (mut content, mut ids) = (Vec::new(), Vec::new());
    for entry in entries {
        ids.push(entry.id);
        if let Some(line) = Line::of(entry) {
            let written = serde_json::to_writer(&mut content, &line);
            written.map_err(|error| RegistryError::Unavailable { cause: error.to_string() })?;
            content.push(b'\n');
        }
        if content.len() >= FULL {
            let (content, entries) = (std::mem::take(&mut content), std::mem::take(&mut ids));
            objects.push(Object { content: content.into(), entries });
        }
    }
    if !ids.is_empty() {
        objects.push(Object { content: content.into(), entries: ids });
    }
    Ok(objects)
}
