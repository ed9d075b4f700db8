//! A layer on its way in: one pass over its bytes.
//!
//! The calling thread reads and uncompresses; another one hashes, writes the archive to disk, and
//! reads its entries. Between them are a few buffers, so neither gets far ahead.

mod compression;
mod intake;

use std::fs::File;
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use berth_oci::Digest;

use super::error::LayerError;
use super::limits::Limits;
use super::tar::Archive;
use super::tree::{Builder, Tree};
use intake::Intake;

/// What goes from one thread to the other at a time.
const CHUNK: usize = 256 << 10;

/// Chunks that are under way, or empty and waiting.
const CHUNKS: usize = 6;

type Chunk = Result<Vec<u8>, LayerError>;

/// Writes the archive that `input` has to `archive`, and says what is in it. The archive is
/// `expected`.
pub(super) fn receive(
    expected: &Digest,
    limits: &Limits,
    input: &mut dyn Read,
    archive: &File,
) -> Result<Tree, LayerError> {
    let (full, chunks) = sync_channel(CHUNKS);
    let (used, empty) = sync_channel(CHUNKS);
    thread::scope(|scope| {
        let reader =
            scope.spawn(|| read(expected, limits, Intake::new(chunks, used, archive, *expected)));
        uncompress(input, limits, &full, &empty);
        drop(full);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads the tree of an archive.
pub(super) fn tree(archive: impl std::io::BufRead, limits: &Limits) -> Result<Tree, LayerError> {
    let mut archive = Archive::new(archive, *limits);
    let mut tree = Builder::new(*limits);
    while let Some(entry) = archive.next()? {
        tree.add(entry)?;
    }
    Ok(tree.finish())
}

fn read(expected: &Digest, limits: &Limits, intake: Intake<'_>) -> Result<Tree, LayerError> {
    let mut archive = Archive::new(intake, *limits);
    let mut tree = Builder::new(*limits);
    while let Some(entry) = archive.next()? {
        tree.add(entry)?;
    }
    let found = archive.finish()?.finish()?;
    match found == *expected {
        true => Ok(tree.finish()),
        false => Err(LayerError::Digest { expected: Box::new(*expected), found: Box::new(found) }),
    }
}

/// Sends the chunks of what is in `input`, and at last what went wrong. Ends when nobody takes them
/// any more.
fn uncompress(
    input: &mut dyn Read,
    limits: &Limits,
    full: &SyncSender<Chunk>,
    empty: &Receiver<Vec<u8>>,
) {
    let mut source = match compression::open(input, limits) {
        Ok(source) => source,
        Err(error) => {
            let _ = full.send(Err(error));
            return;
        }
    };
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        match source.fill(&mut chunk) {
            Ok(()) if chunk.is_empty() => return,
            filled => {
                let failed = filled.is_err();
                if full.send(filled.map(|()| chunk)).is_err() || failed {
                    return;
                }
            }
        }
    }
}
