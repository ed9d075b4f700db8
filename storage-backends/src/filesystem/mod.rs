//! Blobs in files, in the tree that `registry:2` keeps.

mod durable;
mod files;
mod layout;
mod links;
mod quarantine;
mod removal;
mod system;
mod upload;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, UploadId};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::blob_store::{before_quarantine, quarantined};
use crate::{
    BlobContent, BlobStore, Capabilities, LinkTree, OpenBlob, StaleUpload, StoreError, StoreFiles,
    UploadWriter, is_quarantined,
};
use files::FilesystemFiles;
use layout::Layout;
use links::FilesystemLinks;
use system::open_if_cached;
use upload::FilesystemUpload;

/// The filesystem driver. Cheap to clone.
///
/// A finished upload is renamed into its place, so its bytes are written once. Durable means
/// synced: the file before the rename, the directories after it.
#[derive(Clone, Debug)]
pub struct FilesystemStore {
    layout: Arc<Layout>,
    links: FilesystemLinks,
    files: FilesystemFiles,
}

impl FilesystemStore {
    /// Opens the tree under `root`, making it where it is missing.
    ///
    /// # Errors
    /// When the directories can be neither found nor made.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self::as_it_is(root);
        for directory in store.layout.directories() {
            fs::create_dir_all(directory)?;
        }
        Ok(store)
    }

    /// What is under `root`, to be read alone: nothing is made there.
    pub fn as_it_is(root: &Path) -> Self {
        let layout = Arc::new(Layout::new(root));
        let links = FilesystemLinks::new(layout.clone());
        Self { links, files: FilesystemFiles::new(root, layout.clone()), layout }
    }

    fn upload_path(&self, handle: &str) -> Result<PathBuf, StoreError> {
        if Layout::placement_of(handle).is_some() {
            return Ok(self.layout.uploads().join(handle));
        }
        let id: UploadId = handle.parse().map_err(|_| StoreError::NotFound)?;
        Ok(self.layout.upload(id))
    }
}

#[async_trait]
impl BlobStore for FilesystemStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities { min_chunk: 0 }
    }

    fn link_tree(&self) -> Option<&dyn LinkTree> {
        Some(&self.links)
    }

    fn files(&self) -> Option<&dyn StoreFiles> {
        Some(&self.files)
    }

    async fn begin_upload(&self, id: UploadId) -> Result<String, StoreError> {
        Ok(id.to_string())
    }

    async fn continue_upload(
        &self,
        handle: &str,
        offset: u64,
    ) -> Result<Box<dyn UploadWriter>, StoreError> {
        let path = self.upload_path(handle)?;
        let layout = self.layout.clone();
        let handle = handle.to_owned();
        let upload = blocking(move || FilesystemUpload::open(layout, path, handle, offset)).await?;
        Ok(Box::new(upload))
    }

    async fn open_upload(&self, handle: &str, offset: u64) -> Result<OpenBlob, StoreError> {
        let path = self.upload_path(handle)?;
        if offset == 0 {
            // An upload without bytes has no file yet.
            return Ok(OpenBlob { size: 0, content: BlobContent::Memory(bytes::Bytes::new()) });
        }
        let file = blocking(move || none_if_missing(File::open(path))).await?;
        let Some(file) = file else {
            return Err(StoreError::UploadLost { recorded: offset, held: 0 });
        };
        let held = file.metadata()?.len();
        if held < offset {
            return Err(StoreError::UploadLost { recorded: offset, held });
        }
        Ok(OpenBlob { size: offset, content: BlobContent::File(Arc::new(file)) })
    }

    async fn abort_upload(&self, handle: &str) -> Result<(), StoreError> {
        let path = self.upload_path(handle)?;
        blocking(move || none_if_missing(fs::remove_file(path)).map(|_| ())).await
    }

    fn stale_uploads(&self, before: SystemTime) -> BoxStream<'_, Result<StaleUpload, StoreError>> {
        let folder = self.layout.uploads().to_owned();
        let stale = blocking(move || {
            let mut stale = Vec::new();
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                let Ok(handle) = entry.file_name().into_string() else { continue };
                let placement = Layout::placement_of(&handle);
                let placed = placement.map(|(_, digest)| digest);
                let id = placement.map(|(id, _)| id).or_else(|| handle.parse().ok());
                let Some(id) = id else { continue };
                // An entry that goes while we look is no upload any more.
                let Some(metadata) = none_if_missing(entry.metadata())? else { continue };
                if metadata.modified()? < before {
                    stale.push(Ok(StaleUpload { id, handle, location_prefix: None, placed }));
                }
            }
            Ok(stream::iter(stale))
        });
        stream::once(stale).try_flatten().boxed()
    }

    async fn open(&self, digest: &Digest, _location: &str) -> Result<OpenBlob, StoreError> {
        let path = self.layout.blob_data(digest);
        let file = match open_if_cached(&path) {
            Some(opened) => opened?,
            None => blocking(move || Ok(File::open(path)?)).await?,
        };
        // The kernel answers this from the open file, without the disk.
        let size = file.metadata()?.len();
        Ok(OpenBlob { size, content: BlobContent::File(Arc::new(file)) })
    }

    async fn stat(&self, digest: &Digest, _location: &str) -> Result<u64, StoreError> {
        let path = self.layout.blob_data(digest);
        blocking(move || Ok(fs::metadata(path)?.len())).await
    }

    async fn delete(&self, digest: &Digest, location: &str) -> Result<(), StoreError> {
        let deleted = self.delete_many(&[(*digest, location.to_owned())]).await;
        deleted.into_iter().collect()
    }

    /// What they lay in is synced once for all of them.
    async fn delete_many(&self, blobs: &[(Digest, String)]) -> Vec<Result<(), StoreError>> {
        let path = |(digest, location): &(Digest, String)| match is_quarantined(location) {
            true => quarantine_of(location).map(|id| self.layout.quarantined(digest, id)),
            false => Some(self.layout.blob_data(digest)),
        };
        // A location in quarantine without an identifier is none of ours: nothing is there.
        let nothing = || self.layout.uploads().join("none");
        let paths: Vec<_> = blobs.iter().map(|blob| path(blob).unwrap_or_else(nothing)).collect();
        let layout = self.layout.clone();
        let deleted =
            behind_others(move || Ok(removal::remove_all(layout.uploads(), &paths))).await;
        deleted.unwrap_or_else(|error| {
            let reason = error.to_string();
            let failed = |_| Err(StoreError::Io(io::Error::other(reason.clone())));
            blobs.iter().map(failed).collect()
        })
    }

    async fn quarantine(
        &self,
        digest: &Digest,
        _location: &str,
        looked_at: Option<&OpenBlob>,
    ) -> Result<String, StoreError> {
        // The same blob may be damaged more than once.
        let id = UploadId::random();
        if let Some(OpenBlob { content: BlobContent::File(file), .. }) = looked_at {
            let (file, layout, digest) = (file.clone(), self.layout.clone(), *digest);
            blocking(move || Ok(quarantine::take(&layout, &digest, &file, id)?)).await?;
        }
        Ok(quarantined(&id.to_string()))
    }

    async fn presign(
        &self,
        _digest: &Digest,
        _location: &str,
        _valid: Duration,
    ) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn probe(&self, _redirects: bool) -> Result<Vec<String>, StoreError> {
        self.check().await?;
        Ok(Vec::new())
    }

    async fn check(&self) -> Result<(), StoreError> {
        // A name of its own: two checks at once must not meet in one file. Should this process die it is found
        // as an upload that nobody knows.
        let path = self.layout.upload(UploadId::random());
        blocking(move || {
            fs::write(&path, b"berth")?;
            let read = fs::read(&path)?;
            fs::remove_file(&path)?;
            if read == b"berth" {
                Ok(())
            } else {
                Err(StoreError::Io(io::Error::other(
                    "a file read back differs from what was written",
                )))
            }
        })
        .await
    }
}

/// The identifier under which bytes went into quarantine.
fn quarantine_of(location: &str) -> Option<UploadId> {
    before_quarantine(location).parse().ok()
}

/// Runs file operations where waiting for a disk delays nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Io(io::Error::other(error))),
    }
}

/// Runs file operations that nobody waits for, behind all that somebody does wait for.
async fn behind_others<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (done, result) = tokio::sync::oneshot::channel();
    // A thread of its own: its priority cannot be raised again by everybody.
    std::thread::Builder::new().name("behind".to_owned()).spawn(move || {
        // Linux does so for the calling thread alone; elsewhere it would be the whole process.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, NICENESS);
        // Whoever asked may have gone.
        let _ = done.send(work());
    })?;
    match result.await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Io(io::Error::other(error))),
    }
}

/// By how much a thread that nobody waits for steps back.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

fn none_if_missing<T>(result: io::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
