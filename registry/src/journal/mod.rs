//! What was pushed and deleted, told to the blob store itself where that keeps no link files: from this and a
//! backup a lost database is rebuilt.
//!
//! The journal is a row of objects that never change, `berth/journal/00000000000000000042`, each of some changes
//! of the outbox, a line of JSON each. An object is written only where none is, and what it holds is read from
//! the outbox after the one before it was there. So the last line on a name in the last object that has one is
//! what it stands for, whoever wrote them and how often.
//!
//! A backup tells in its name which objects it makes needless; those that no backup needs go with the oldest.

mod line;
mod write;

use berth_storage_backends::{Found, StoreError, StoreFiles};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

pub(crate) use line::{Line, Subject, time};
pub(crate) use write::JournalPlace;

/// The folder of the journal.
const FOLDER: &str = "berth/journal";

/// How many objects are deleted at the same time.
const DELETES: usize = 32;

/// The largest object that is read, in bytes. One is cut at a mebibyte, but for a manifest that is larger.
pub(crate) const LARGEST: u64 = 256 << 20;

/// What the object of this number is called.
pub(crate) fn name(number: u64) -> String {
    format!("{FOLDER}/{number:020}")
}

/// The numbers of all objects, in no order.
///
/// # Errors
/// When the store fails.
pub(crate) async fn numbers(files: &dyn StoreFiles) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    let mut listing = files.list(FOLDER);
    while let Some(batch) = listing.try_next().await? {
        numbers.extend(batch.iter().filter_map(number));
    }
    Ok(numbers)
}

fn number(found: &Found) -> Option<u64> {
    let Found::File(file) = found else { return None };
    file.name.strip_prefix(FOLDER)?.strip_prefix('/')?.parse().ok()
}

/// The number of the last object, if there is one. A snapshot of the database that is begun later holds all
/// that it tells.
///
/// # Errors
/// When the store fails.
pub(crate) async fn last(files: &dyn StoreFiles) -> Result<Option<u64>, StoreError> {
    Ok(numbers(files).await?.into_iter().max())
}

/// Deletes the objects before `number`. That one stays, so that no number is ever given again.
///
/// # Errors
/// When the store fails.
pub(crate) async fn cut(files: &dyn StoreFiles, number: u64) -> Result<(), StoreError> {
    let mut needless = numbers(files).await?;
    needless.retain(|one| *one < number);
    let deletions = stream::iter(needless).map(|number| async move {
        let name = name(number);
        files.delete(&name).await
    });
    deletions.buffer_unordered(DELETES).try_collect().await
}
