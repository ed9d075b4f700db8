use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, LinkChange, UploadId};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::{StoreError, StoreFiles};

/// How many deletions are under way at the same time where a store takes them one by one.
const DELETES: usize = 32;

/// A store of content-addressed blobs, and of uploads that become blobs.
///
/// An upload goes through `begin_upload`, any number of `continue_upload` + [`UploadWriter::write`],
/// and ends with [`UploadWriter::finish`] or `abort_upload`. Its *handle* is a text that the
/// caller keeps in the database, so that any process can go on with it. The *location* of a blob
/// is a text too, opaque to callers, kept beside the digest.
#[async_trait]
pub trait BlobStore: fmt::Debug + Send + Sync + 'static {
    /// What this store can do beyond the rest of the trait.
    fn capabilities(&self) -> Capabilities;

    /// The tree of link files that the store keeps, if it keeps one.
    fn link_tree(&self) -> Option<&dyn LinkTree> {
        None
    }

    /// The files beside the blobs, if the store keeps any.
    fn files(&self) -> Option<&dyn StoreFiles> {
        None
    }

    /// A handle for a new upload. Nothing is durable yet, and nothing needs to be undone when the
    /// handle is dropped unused.
    async fn begin_upload(&self, id: UploadId) -> Result<String, StoreError>;

    /// Takes hold of an upload to go on at `offset`. Bytes that were written behind it are
    /// discarded by the first write, sync or finish of the writer, not before: whoever takes hold
    /// can still look whether the upload stands where it was thought to.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another writer holds the upload (the hold of a process that
    /// died is void), [`StoreError::UploadLost`] when fewer than `offset` bytes are there.
    async fn continue_upload(
        &self,
        handle: &str,
        offset: u64,
    ) -> Result<Box<dyn UploadWriter>, StoreError>;

    /// The bytes of an upload so far, to be read back, where the store can do that. Fails as
    /// `continue_upload` does.
    async fn open_upload(&self, handle: &str, offset: u64) -> Result<OpenBlob, StoreError>;

    /// Gives back what an upload holds; nothing when it holds nothing.
    async fn abort_upload(&self, handle: &str) -> Result<(), StoreError>;

    /// Uploads that hold something and were last written before `before`, however they came to
    /// be: those of a process that died before it recorded them too. Where the store keeps blobs
    /// beside uploads they are among these, with what their location begins with.
    fn stale_uploads(&self, before: SystemTime) -> BoxStream<'_, Result<StaleUpload, StoreError>>;

    /// Opens a blob for reading. A store on other machines may find only when it is read that it
    /// is not there.
    async fn open(&self, digest: &Digest, location: &str) -> Result<OpenBlob, StoreError>;

    /// The size of a blob in bytes.
    async fn stat(&self, digest: &Digest, location: &str) -> Result<u64, StoreError>;

    /// Deletes a blob; nothing when it is not there. Readers that have it open go on.
    async fn delete(&self, digest: &Digest, location: &str) -> Result<(), StoreError>;

    /// Deletes blobs, each given with its location, as [`delete`](Self::delete) does, and tells of
    /// each how it went, in their order. One that fails keeps none of the others.
    async fn delete_many(&self, blobs: &[(Digest, String)]) -> Vec<Result<(), StoreError>> {
        let delete = |(digest, location): &(Digest, String)| {
            let (digest, location) = (*digest, location.clone());
            async move { self.delete(&digest, &location).await }
        };
        let deletions: Vec<_> = blobs.iter().map(delete).collect();
        stream::iter(deletions).buffered(DELETES).collect().await
    }

    /// Takes the damaged bytes of a blob out of service, as they were when they were looked at, and gives
    /// the location to record instead. They are kept until a blob of that location is deleted, which
    /// touches no bytes that have come in their place since. No two such locations of a blob are the same.
    /// `None` stands for bytes that are gone.
    async fn quarantine(
        &self,
        _digest: &Digest,
        location: &str,
        _looked_at: Option<&OpenBlob>,
    ) -> Result<String, StoreError> {
        Ok(quarantined(location))
    }

    /// An address at which anyone can read the blob for so long, without asking us; `None` where
    /// the store has none.
    async fn presign(
        &self,
        digest: &Digest,
        location: &str,
        valid: Duration,
    ) -> Result<Option<String>, StoreError>;

    /// Tries out, in a place of its own, all that is needed of a store that is not ours, and tells in
    /// words what it found. Readers are sent to the store or not: then it need not be able to. Takes a
    /// while; [`check`](Self::check) is for every day.
    async fn probe(&self, redirects: bool) -> Result<Vec<String>, StoreError>;

    /// Proves that the store can be written and read now, in a place of its own.
    async fn check(&self) -> Result<(), StoreError>;
}

/// What the location of bytes in quarantine begins with; no other location does.
const QUARANTINE: char = '!';

/// Whether the bytes at this location are in quarantine: they are not what their digest says, or gone,
/// and not to be served.
pub fn is_quarantined(location: &str) -> bool {
    location.starts_with(QUARANTINE)
}

/// A location in quarantine, with what the driver finds the bytes by.
pub(crate) fn quarantined(location: &str) -> String {
    format!("{QUARANTINE}{location}")
}

/// What the driver finds bytes in quarantine by.
pub(crate) fn before_quarantine(location: &str) -> &str {
    location.trim_start_matches(QUARANTINE)
}

/// An upload that nobody has written to for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleUpload {
    /// The identifier that it was begun with.
    pub id: UploadId,
    /// Its handle.
    pub handle: String,
    /// What its location begins with, if it may have become a blob: it is stale only if no blob has
    /// such a location.
    pub location_prefix: Option<String>,
    /// The blob that it became, or was becoming, where the store finds blobs by their digest: its
    /// bytes are garbage if nothing knows of it.
    pub placed: Option<Digest>,
}

/// What a store can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The smallest chunk, but for the last one, that clients should send; 0 for any.
    pub min_chunk: u64,
}

/// An upload held for writing. Dropping it lets go; bytes since the last `sync` may be lost.
///
/// When the upload is given back meanwhile, no blob comes of it: `finish` fails with
/// [`StoreError::UploadLost`], and `write` and `sync` may.
#[async_trait]
pub trait UploadWriter: Send {
    /// Appends the chunks, in order.
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError>;

    /// Waits until all that was written is on stable storage and gives the handle to record.
    async fn sync(&mut self) -> Result<String, StoreError>;

    /// The file that the bytes are in as soon as they are written, where there is one. It stays
    /// readable whatever becomes of the upload.
    fn file(&self) -> Option<Arc<File>> {
        None
    }

    /// Ends the writing and gives all bytes of the upload to be read, before it is finished. When
    /// it is dropped instead, some stores have lost the upload: they give back objects alone.
    async fn seal(&mut self) -> Result<OpenBlob, StoreError>;

    /// Makes the upload the blob `digest`: durable, under its own name, replacing bytes that the
    /// store may hold under the same digest. The caller has verified the digest.
    async fn finish(self: Box<Self>, digest: &Digest) -> Result<NewBlob, StoreError>;
}

/// A blob that the store holds and nothing names yet.
pub struct NewBlob {
    /// The location to record.
    pub location: String,
    /// As long as it lives, [`stale_uploads`](BlobStore::stale_uploads) takes the blob for no orphan:
    /// drop it when the location is recorded.
    pub hold: Box<dyn PlacedBlob>,
}

/// The bytes of a blob that nothing names yet.
#[async_trait]
pub trait PlacedBlob: Send + Sync {
    /// Sees to it that they are in their place, durably: where a store finds a blob by its digest,
    /// the removal of others like them may have taken them away.
    async fn place_again(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The blob is recorded: nobody has to look after its bytes any longer.
    fn recorded(&self) {}
}

impl fmt::Debug for NewBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewBlob").field("location", &self.location).finish_non_exhaustive()
    }
}

/// A blob opened for reading. From a file or from memory it stays readable when the blob is deleted
/// meanwhile; a store on other machines tells that it is gone.
#[derive(Clone, Debug)]
pub struct OpenBlob {
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes.
    pub content: BlobContent,
}

/// How much of a file is read at a time to stream it.
const CHUNK: usize = 1 << 20;

impl OpenBlob {
    /// All its bytes, in order. An error is the last item.
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, StoreError>> {
        match self.content {
            BlobContent::File(file) => file_stream(file, self.size),
            BlobContent::Memory(bytes) => stream::iter([Ok(bytes)]).boxed(),
            BlobContent::Remote(remote) => remote.read(0..self.size),
            BlobContent::Unreadable => stream::iter([Err(StoreError::NotFound)]).boxed(),
        }
    }
}

fn file_stream(file: Arc<File>, size: u64) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let chunk = move |offset: u64| {
        let file = Arc::clone(&file);
        async move {
            let len = (size - offset).min(CHUNK as u64);
            if len == 0 {
                return Ok(None);
            }
            let reading = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; len as usize];
                file.read_exact_at(&mut chunk, offset)?;
                Ok::<_, io::Error>(chunk)
            });
            let chunk = reading.await.map_err(|error| StoreError::Io(error.into()))??;
            Ok(Some((Bytes::from(chunk), offset + len)))
        }
    };
    stream::try_unfold(0, chunk).boxed()
}

/// How the bytes of an open blob can be had.
#[derive(Clone, Debug)]
pub enum BlobContent {
    /// In a file: read it at any offset, or hand it to the kernel.
    File(Arc<File>),
    /// In memory.
    Memory(Bytes),
    /// In a store on other machines.
    Remote(Arc<dyn RemoteBlob>),
    /// Not to be had before the upload is a blob.
    Unreadable,
}

/// A blob in a store on other machines.
pub trait RemoteBlob: fmt::Debug + Send + Sync {
    /// The bytes of a range, in order. A stream that breaks is taken up again; an error is the last
    /// item.
    fn read(&self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, StoreError>>;
}

/// A readable tree of link files beside the blobs, as `registry:2` keeps it.
#[async_trait]
pub trait LinkTree: Send + Sync {
    /// Makes the tree follow the changes, in order. Applying a change again changes nothing.
    /// When this returns they are on stable storage.
    async fn apply(&self, changes: Vec<LinkChange>) -> Result<(), StoreError>;

    /// The same where nobody waits for it, with the time that all others leave.
    async fn apply_behind_others(&self, changes: Vec<LinkChange>) -> Result<(), StoreError> {
        self.apply(changes).await
    }
}
