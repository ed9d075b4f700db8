use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::io::{IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::Digest;
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::blocking;
use super::layout::Layout;
use crate::{BlobContent, NewBlob, OpenBlob, PlacedBlob, StoreError, UploadWriter};

/// How many bytes go to the page cache before a sync of them is started behind the writer, so
/// that the last sync finds little left to do.
const WRITE_BEHIND: u64 = 32 << 20;

/// How much is copied at a time.
const COPY_BUFFER: usize = 1 << 20;

/// An upload file, locked for one writer. The lock belongs to the open file, so it ends with the
/// process that holds it, however that ends.
#[derive(Debug)]
pub(super) struct FilesystemUpload {
    layout: Arc<Layout>,
    file: Arc<File>,
    path: PathBuf,
    handle: String,
    /// The offset to go on from while longer contents stand in the file. They are cut off by the
    /// first change, not by taking hold: the holder may find that it came too late.
    cut_to: Option<u64>,
    unsynced: u64,
    write_behind: Option<JoinHandle<io::Result<()>>>,
}

impl FilesystemUpload {
    pub(super) fn open(
        layout: Arc<Layout>,
        path: PathBuf,
        handle: String,
        offset: u64,
    ) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        // It is read only if its bytes have to be placed again.
        options.read(true).append(true).create(offset == 0);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && offset > 0 => {
                return Err(StoreError::UploadLost { recorded: offset, held: 0 });
            }
            other => other?,
        };
        Self::hold(layout, file, path, handle, offset)
    }

    fn hold(
        layout: Arc<Layout>,
        file: File,
        path: PathBuf,
        handle: String,
        offset: u64,
    ) -> Result<Self, StoreError> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Whoever held it before may have made it a blob since we opened it.
        if !is_still_at(&file, &path)? {
            return Err(StoreError::UploadLost { recorded: offset, held: 0 });
        }
        let held = file.metadata()?.len();
        if held < offset {
            return Err(StoreError::UploadLost { recorded: offset, held });
        }
        Ok(Self {
            layout,
            file: Arc::new(file),
            path,
            handle,
            cut_to: (held > offset).then_some(offset),
            unsynced: 0,
            write_behind: None,
        })
    }

    /// Starts a sync behind the writer, unless the last one is still under way.
    async fn sync_behind(&mut self) -> Result<(), StoreError> {
        if let Some(running) = self.write_behind.take() {
            if !running.is_finished() {
                self.write_behind = Some(running);
                return Ok(());
            }
            joined(running).await?;
        }
        self.unsynced = 0;
        let file = self.file.clone();
        self.write_behind = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        Ok(())
    }

    async fn end_write_behind(&mut self) -> Result<(), StoreError> {
        match self.write_behind.take() {
            Some(running) => joined(running).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl UploadWriter for FilesystemUpload {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<(), StoreError> {
        self.unsynced += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        let (file, cut_to) = (self.file.clone(), self.cut_to.take());
        blocking(move || {
            cut(&file, cut_to)?;
            Ok(write_all(&file, &chunks)?)
        })
        .await?;
        if self.unsynced >= WRITE_BEHIND {
            self.sync_behind().await?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<String, StoreError> {
        // A failed sync is told once only: the one behind the writer may have been the one.
        self.end_write_behind().await?;
        let (file, cut_to) = (self.file.clone(), self.cut_to.take());
        blocking(move || {
            cut(&file, cut_to)?;
            Ok(file.sync_data()?)
        })
        .await?;
        Ok(self.handle.clone())
    }

    fn file(&self) -> Option<Arc<File>> {
        Some(self.file.clone())
    }

    async fn seal(&mut self) -> Result<OpenBlob, StoreError> {
        self.sync().await?;
        let path = self.path.clone();
        let file = blocking(move || Ok(File::open(path)?)).await?;
        let size = file.metadata()?.len();
        Ok(OpenBlob { size, content: BlobContent::File(Arc::new(file)) })
    }

    async fn finish(mut self: Box<Self>, digest: &Digest) -> Result<NewBlob, StoreError> {
        self.end_write_behind().await?;
        let digest = *digest;
        blocking(move || {
            cut(&self.file, self.cut_to)?;
            self.file.sync_data()?;
            // A name is renamed, not a file: it must not be the name of another by now.
            if !is_still_at(&self.file, &self.path)? {
                let recorded = self.file.metadata()?.len();
                return Err(StoreError::UploadLost { recorded, held: 0 });
            }
            // Tells whoever finds it that the process died before the blob was recorded.
            let mark = self.layout.placement(&self.handle, &digest);
            File::create(&mark)?;
            self.layout.place_blob(&self.path, &digest)?;
            let placed = PlacedFile {
                mark,
                layout: self.layout.clone(),
                file: self.file.clone(),
                scratch: self.path.clone(),
                digest,
            };
            Ok(NewBlob { location: String::new(), hold: Box::new(placed) })
        })
        .await
    }
}

/// A file that became a blob, still open: it can be read although its name is gone.
struct PlacedFile {
    mark: PathBuf,
    layout: Arc<Layout>,
    file: Arc<File>,
    scratch: PathBuf,
    digest: Digest,
}

#[async_trait]
impl PlacedBlob for PlacedFile {
    async fn place_again(&self) -> Result<(), StoreError> {
        let (layout, file) = (self.layout.clone(), self.file.clone());
        let (scratch, digest) = (self.scratch.clone(), self.digest);
        blocking(move || {
            if is_still_at(&file, &layout.blob_data(&digest))? {
                return Ok(layout.sync_blob(&digest)?);
            }
            // A name that was taken away cannot be given back to an open file; its bytes can.
            let copy = File::create(&scratch)?;
            copy_all(&file, &copy)?;
            copy.sync_data()?;
            Ok(layout.place_blob(&scratch, &digest)?)
        })
        .await
    }

    fn recorded(&self) {
        let mark = self.mark.clone();
        // A mark that stays is looked at later, and found to mean nothing.
        tokio::task::spawn_blocking(move || fs::remove_file(mark));
    }
}

fn copy_all(from: &File, to: &File) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BUFFER];
    let mut offset = 0;
    loop {
        match from.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(()),
            Ok(len) => {
                to.write_all_at(&buffer[..len], offset)?;
                offset += len as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the file still has this name: it loses it when it becomes a blob or is given back.
pub(super) fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let file = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (file.dev(), file.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn cut(file: &File, to: Option<u64>) -> io::Result<()> {
    to.map_or(Ok(()), |len| file.set_len(len))
}

fn write_all(mut file: &File, chunks: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut rest = &mut slices[..];
    // Leading empty slices would make a write of nothing look like the end of the disk.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn joined(task: JoinHandle<io::Result<()>>) -> Result<(), StoreError> {
    match task.await {
        Ok(result) => Ok(result?),
        Err(error) => Err(StoreError::Io(io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_whose_name_was_taken_away_are_placed_again() {
        let root = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::new(root.path()));
        for directory in layout.directories() {
            fs::create_dir_all(directory).unwrap();
        }
        let path = layout.uploads().join("upload");
        let mut upload =
            FilesystemUpload::open(layout.clone(), path, "upload".to_owned(), 0).unwrap();
        upload.write(vec![Bytes::from_static(b"hello")]).await.unwrap();
        let digest = berth_oci::Hasher::digest(berth_oci::Algorithm::Sha256, b"hello");
        let placed = Box::new(upload).finish(&digest).await.unwrap();
        let data = layout.blob_data(&digest);
        fs::remove_dir_all(data.parent().unwrap()).unwrap();
        for _ in 0..2 {
            placed.hold.place_again().await.unwrap();
            assert_eq!(fs::read(&data).unwrap(), b"hello");
        }
    }

    #[test]
    fn a_file_that_became_a_blob_before_it_was_locked_is_not_held() {
        let root = tempfile::tempdir().unwrap();
        let layout = Arc::new(Layout::new(root.path()));
        let path = root.path().join("upload");
        let open = || OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let hold =
            |file| FilesystemUpload::hold(layout.clone(), file, path.clone(), String::new(), 0);
        let opened = open();
        fs::rename(&path, root.path().join("blob")).unwrap();
        assert!(matches!(hold(opened), Err(StoreError::UploadLost { .. })));

        let opened = open();
        fs::remove_file(&path).unwrap();
        drop(open());
        assert!(matches!(hold(opened), Err(StoreError::UploadLost { .. })));
        assert!(hold(open()).is_ok());
    }
}
