use std::fs::{self, File, ReadDir};
use std::io::{self, Read as _, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::{Digest, UploadId};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;

use super::layout::Layout;
use super::{blocking, durable, none_if_missing};
use crate::{BlobContent, Found, FoundFile, OpenBlob, StoreError, StoreFiles};

/// How many files are told of at a time.
const BATCH: usize = 1000;

/// How many batches wait for whoever reads the listing.
const WAITING: usize = 4;

/// How deep folders may lie in one another: a name of 255 characters in folders of one, and what a
/// registry puts below it.
const DEEPEST: usize = 140;

/// The files below the root directory.
#[derive(Clone, Debug)]
pub(super) struct FilesystemFiles {
    root: PathBuf,
    layout: Arc<Layout>,
}

impl FilesystemFiles {
    pub(super) fn new(root: &Path, layout: Arc<Layout>) -> Self {
        Self { root: root.to_owned(), layout }
    }

    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        let name = Path::new(name);
        match name.components().all(|part| matches!(part, Component::Normal(_))) {
            true => Ok(self.root.join(name)),
            false => Err(StoreError::NotFound),
        }
    }

    /// How many directories a file stands in, the root among them.
    fn depth(&self, path: &Path) -> usize {
        path.strip_prefix(&self.root).map_or(1, |name| name.components().count())
    }

    async fn file(&self, name: &str) -> Result<(File, u64), StoreError> {
        let path = self.path(name)?;
        blocking(move || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            match metadata.is_file() {
                true => Ok((file, metadata.len())),
                false => Err(StoreError::Io(io::Error::other("it is not a file"))),
            }
        })
        .await
    }
}

#[async_trait]
impl StoreFiles for FilesystemFiles {
    fn list(&self, folder: &str) -> BoxStream<'static, Result<Vec<Found>, StoreError>> {
        let (told, listing) = mpsc::channel(WAITING);
        let (root, folder) = (self.root.clone(), folder.to_owned());
        tokio::task::spawn_blocking(move || Walk { root, batch: Vec::new(), told }.run(&folder));
        stream::unfold(listing, |mut listing| async move { Some((listing.recv().await?, listing)) })
            .boxed()
    }

    async fn read(&self, name: &str, limit: u64) -> Result<Bytes, StoreError> {
        let (file, size) = self.file(name).await?;
        if size > limit {
            let reason = format!("it has {size} bytes where at most {limit} are expected");
            return Err(StoreError::Io(io::Error::other(reason)));
        }
        blocking(move || {
            let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
            file.take(limit).read_to_end(&mut content)?;
            Ok(content.into())
        })
        .await
    }

    async fn open(&self, name: &str) -> Result<OpenBlob, StoreError> {
        let (file, size) = self.file(name).await?;
        Ok(OpenBlob { size, content: BlobContent::File(Arc::new(file)) })
    }

    async fn write(
        &self,
        name: &str,
        content: BoxStream<'static, Result<Bytes, StoreError>>,
    ) -> Result<(), StoreError> {
        let path = self.path(name)?;
        let scratch = self.layout.upload(UploadId::random());
        let file = match write_all(scratch.clone(), content).await {
            Ok(file) => file,
            Err(error) => {
                // What stays is found as an abandoned upload.
                let _ = blocking(move || Ok(fs::remove_file(scratch)?)).await;
                return Err(error);
            }
        };
        let depth = self.depth(&path);
        blocking(move || {
            file.sync_all()?;
            durable::rename_creating_parents(&scratch, &path)?;
            Ok(durable::sync_directories(&path, depth)?)
        })
        .await
    }

    async fn write_new(&self, name: &str, content: Bytes) -> Result<bool, StoreError> {
        let path = self.path(name)?;
        let scratch = self.layout.upload(UploadId::random());
        let depth = self.depth(&path);
        blocking(move || {
            let written = write_synced(&scratch, &content)
                .and_then(|()| durable::link_creating_parents(&scratch, &path));
            // What stays is found as an abandoned upload.
            let _ = fs::remove_file(&scratch);
            match written {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                other => other?,
            }
            durable::sync_directories(&path, depth)?;
            Ok(true)
        })
        .await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name)?;
        blocking(move || none_if_missing(fs::remove_file(path)).map(drop)).await
    }

    fn location_in_tree(&self, _digest: &Digest, _size: u64) -> String {
        String::new()
    }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a file of the content. Not synced.
async fn write_all(
    path: PathBuf,
    mut content: BoxStream<'static, Result<Bytes, StoreError>>,
) -> Result<File, StoreError> {
    let mut file = blocking(move || Ok(File::create(path)?)).await?;
    while let Some(bytes) = content.next().await {
        let bytes = bytes?;
        file = blocking(move || {
            file.write_all(&bytes)?;
            Ok(file)
        })
        .await?;
    }
    Ok(file)
}

/// A walk through a folder.
struct Walk {
    root: PathBuf,
    batch: Vec<Found>,
    told: mpsc::Sender<Result<Vec<Found>, StoreError>>,
}

/// Nobody reads the listing any longer.
struct Abandoned;

impl Walk {
    /// One open folder for each that it is in: memory does not grow with how many there are.
    fn run(mut self, folder: &str) {
        let walked = self.walk(self.root.join(folder)).and_then(|()| self.flush());
        // Whoever asked has gone.
        drop(walked);
    }

    fn walk(&mut self, folder: PathBuf) -> Result<(), Abandoned> {
        let mut above: Vec<(PathBuf, ReadDir)> = Vec::new();
        self.enter(&mut above, folder)?;
        while let Some((folder, entries)) = above.last_mut() {
            let Some(entry) = entries.next() else {
                above.pop();
                continue;
            };
            let folder = folder.clone();
            match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?, entry))) {
                Err(error) => self.unreadable(&folder, error)?,
                Ok((path, kind, _)) if kind.is_dir() => self.enter(&mut above, path)?,
                Ok((path, kind, entry)) if kind.is_file() => match entry.metadata() {
                    // It went while we looked.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.unreadable(&path, error)?,
                    Ok(metadata) => self.file(&path, &metadata)?,
                },
                Ok((path, ..)) => self.unreadable(&path, "it is neither a file nor a folder")?,
            }
        }
        Ok(())
    }

    fn enter(
        &mut self,
        above: &mut Vec<(PathBuf, ReadDir)>,
        folder: PathBuf,
    ) -> Result<(), Abandoned> {
        if above.len() > DEEPEST {
            return self
                .unreadable(&folder, "folders lie in one another deeper than any name goes");
        }
        match fs::read_dir(&folder) {
            Ok(entries) => above.push((folder, entries)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.unreadable(&folder, error)?,
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, metadata: &fs::Metadata) -> Result<(), Abandoned> {
        let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else {
            return self.unreadable(path, "its name is not UTF-8");
        };
        let modified = metadata.modified().unwrap_or(std::time::UNIX_EPOCH);
        let file = FoundFile { name: name.to_owned(), size: metadata.len(), modified };
        self.tell(Found::File(file))
    }

    fn unreadable(&mut self, path: &Path, reason: impl ToString) -> Result<(), Abandoned> {
        let name = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned();
        self.tell(Found::Unreadable { name, reason: reason.to_string() })
    }

    fn tell(&mut self, found: Found) -> Result<(), Abandoned> {
        self.batch.push(found);
        match self.batch.len() < BATCH {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<(), Abandoned> {
        let batch = std::mem::take(&mut self.batch);
        self.told.blocking_send(Ok(batch)).map_err(|_| Abandoned)
    }
}
