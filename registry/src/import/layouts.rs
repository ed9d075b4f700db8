//! Finding OCI image layouts, and the blobs that lie elsewhere than in the layouts which name them.

use std::collections::{HashMap, HashSet};

use berth_oci::{Digest, Hasher, RepositoryName};
use berth_storage_backends::{Found, FoundFile, OpenBlob, StoreError, StoreFiles};
use futures_util::TryStreamExt as _;

use super::Finding;
use crate::Place;
use crate::error::UpkeepError;

/// The file that makes a folder a layout.
const MARK: &str = "oci-layout";

/// Where zot keeps the blobs that several repositories have.
const SHARED: &str = "_blobstore";

/// The layouts of a place.
pub(super) struct Layouts<'a> {
    place: &'a Place,
    files: &'a dyn StoreFiles,
    /// The folders of the layouts, in the order of their names; the empty one is the place itself.
    folders: Vec<String>,
    /// Blobs that have no bytes in a layout and have them in another one. In an object store, where there are no
    /// hard links, zot leaves an empty object in all repositories but one.
    elsewhere: HashMap<Digest, String>,
    /// What could not be looked at.
    pub(super) findings: Vec<Finding>,
}

impl<'a> Layouts<'a> {
    /// Finds all of them.
    pub(super) async fn find(
        place: &'a Place,
        files: &'a dyn StoreFiles,
    ) -> Result<Self, UpkeepError> {
        let (folders, elsewhere, findings) = (Vec::new(), HashMap::new(), Vec::new());
        let mut layouts = Self { place, files, folders, elsewhere, findings };
        let empty = layouts.note_layouts().await.map_err(|error| layouts.failed(&error))?;
        layouts.folders.sort();
        if layouts.folders.is_empty() {
            return Err(UpkeepError::NoLayout(place.clone()));
        }
        if !empty.is_empty() {
            layouts.note_bytes_of(&empty).await.map_err(|error| layouts.failed(&error))?;
        }
        Ok(layouts)
    }

    /// Gives the blobs without bytes that should have some.
    async fn note_layouts(&mut self) -> Result<HashSet<Digest>, StoreError> {
        let mut empty = HashSet::new();
        let mut listing = self.files.list("");
        while let Some(batch) = listing.try_next().await? {
            for found in batch {
                match found {
                    Found::File(file) => {
                        let (folder, name) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
                        if name == MARK {
                            self.folders.push(folder.to_owned());
                        } else if file.size == 0 {
                            empty.extend(blob(&file).filter(|digest| !is_of_nothing(digest)));
                        }
                    }
                    Found::Unreadable { name, reason } => {
                        self.findings.push(Finding::Unreadable { path: name, reason });
                    }
                }
            }
        }
        Ok(empty)
    }

    async fn note_bytes_of(&mut self, empty: &HashSet<Digest>) -> Result<(), StoreError> {
        let mut listing = self.files.list("");
        while let Some(batch) = listing.try_next().await? {
            for found in batch {
                let Found::File(file) = found else { continue };
                if let Some(digest) = blob(&file).filter(|digest| empty.contains(digest))
                    && file.size > 0
                {
                    self.elsewhere.insert(digest, file.name);
                }
            }
        }
        Ok(())
    }

    /// The layouts, each with the repository that it goes to: `name`, or one that is called as the layout's folder
    /// is. Of several those are told and passed over that no repository can be called as.
    pub(super) fn named(
        &mut self,
        name: Option<RepositoryName>,
    ) -> Result<Vec<(String, RepositoryName)>, UpkeepError> {
        let folders = std::mem::take(&mut self.folders);
        if let ([_], Some(name)) = (&folders[..], &name) {
            return Ok(folders.into_iter().map(|folder| (folder, name.clone())).collect());
        }
        if name.is_some() {
            return Err(UpkeepError::ManyLayouts(self.place.clone()));
        }
        let is_one = folders.len() == 1;
        let mut named = Vec::with_capacity(folders.len());
        for folder in folders {
            // A layout by itself is called as its own folder is.
            let own = self.place.path().file_name().and_then(|name| name.to_str());
            let text = match (&*folder, self.place) {
                ("", Place::Folder(_)) => own.unwrap_or_default(),
                (folder, _) => folder,
            };
            match text.parse() {
                Ok(name) => named.push((folder, name)),
                Err(_) if is_one => {
                    return Err(UpkeepError::LayoutName(self.place.path().join(folder)));
                }
                Err(_) if folder == SHARED => {}
                Err(error) => {
                    let reason = format!("no repository can be called so: {error}");
                    self.findings.push(Finding::Foreign { path: folder, reason });
                }
            }
        }
        Ok(named)
    }

    /// A file of a layout.
    pub(super) async fn read(
        &self,
        layout: &str,
        name: &str,
        limit: u64,
    ) -> Result<bytes::Bytes, UpkeepError> {
        let name = join(layout, name);
        let read = self.files.read(&name, limit).await;
        read.map_err(|error| UpkeepError::Unreadable(format!("{}, {name}: {error}", self.place)))
    }

    /// Opens a blob that a layout names, wherever its bytes are.
    pub(super) async fn open(
        &self,
        layout: &str,
        digest: &Digest,
    ) -> Result<Option<OpenBlob>, UpkeepError> {
        let own = self.open_file(&join(layout, &blob_name(digest))).await?;
        if own.as_ref().is_some_and(|own| own.size > 0 || is_of_nothing(digest)) {
            return Ok(own);
        }
        let other = match self.elsewhere.get(digest) {
            Some(name) => self.open_file(name).await?,
            None => self.open_file(&join(SHARED, &blob_name(digest))).await?,
        };
        Ok(other.or(own))
    }

    async fn open_file(&self, name: &str) -> Result<Option<OpenBlob>, UpkeepError> {
        match self.files.open(name).await {
            Ok(open) => Ok(Some(open)),
            Err(StoreError::NotFound) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) fn failed(&self, error: &StoreError) -> UpkeepError {
        UpkeepError::Unusable { place: self.place.clone(), reason: error.to_string() }
    }
}

/// The blob that a file of a layout is.
fn blob(file: &FoundFile) -> Option<Digest> {
    let mut parts = file.name.rsplit('/');
    let (hex, algorithm, folder) = (parts.next()?, parts.next()?, parts.next()?);
    format!("{algorithm}:{hex}").parse().ok().filter(|_| folder == "blobs")
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn join(folder: &str, name: &str) -> String {
    match folder.is_empty() {
        true => name.to_owned(),
        false => format!("{folder}/{name}"),
    }
}

/// Whether it is right that a blob has no bytes.
fn is_of_nothing(digest: &Digest) -> bool {
    Hasher::digest(digest.algorithm(), b"") == *digest
}
