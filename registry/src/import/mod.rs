//! Taking over what another registry has stored.
//!
//! The tree of `registry:2` is adopted as it stands: blobs stay where they are, and the database learns of
//! them. `names` walks the tree, `manifests` reads what it finds, `finding` is what is told of what is not
//! as it should be. `journal` reads what Berth itself has told a store that keeps no link files. `layouts` finds
//! OCI image layouts, and `layout` copies one.
//!
//! Nothing is asked of the order in which a store lists its files: what must come first is noted in the
//! database. A pass that broke off is made again from its beginning, and finds most of it done.

mod finding;
mod journal;
mod layout;
mod layouts;
mod manifests;
mod names;

use std::time::Duration;

use berth_metadata::Job;
use berth_storage_backends::tree;
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub use finding::Finding;

use crate::control::Told;
use crate::error::UpkeepError;
use crate::{Registry, RegistryError};

/// What an import took over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Files with bytes of blobs and manifests that the tree has.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were looked at below the repositories.
    pub files: u64,
    /// Links to blobs that are new.
    pub links: u64,
    /// Links to blobs that are gone, which were not taken.
    pub stale_links: u64,
    /// Manifests that are new.
    pub manifests: u64,
    /// Tags that are new, or point elsewhere now.
    pub tags: u64,
    /// Blobs that nothing names. They stay as they are.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// Uploads that were not finished. They stay as they are.
    pub uploads: u64,
    /// How much was not as it should be; each was told.
    pub findings: u64,
}

impl Registry {
    /// Adopts the tree of `registry:2` that lies in the storage: names, manifests and tags become known,
    /// and blobs stay where they are. The registry that wrote it may go on meanwhile; another import takes
    /// what has come since.
    ///
    /// # Errors
    /// When the storage or the database fails. What was taken until then stays, and another import goes
    /// on.
    pub async fn import(&self, tell: &mpsc::Sender<Told>) -> Result<Imported, RegistryError> {
        self.take_over(false, tell).await
    }

    /// Adopts all that the storage tells of names: the journal, and the tree as [`import`](Self::import) does.
    async fn take_over(
        &self,
        with_journal: bool,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Imported, RegistryError> {
        let upkeep = self.upkeep()?;
        let files = self.blobs.files().ok_or(UpkeepError::NoFiles)?;
        self.settle_links().await?;
        // From here on the tree stands still for what is changed here, so that what is written there is
        // older than any change that comes meanwhile.
        let _hold = self.hold_links().await;
        let mut imported = None;
        let pass = async {
            imported = Some(names::Pass::new(self, upkeep, files, tell).run(with_journal).await?);
            Ok(())
        };
        self.as_job(Job::Import, Duration::ZERO, pass).await?;
        imported.ok_or_else(|| UpkeepError::Running("an import").into())
    }

    /// Whether a tree lies in the storage that the database knows nothing of.
    ///
    /// # Errors
    /// When the storage or the database fails.
    pub async fn has_unadopted_tree(&self) -> Result<bool, RegistryError> {
        let Some(files) = self.blobs.files() else { return Ok(false) };
        if !self.metadata.repositories(None, 1).await?.entries.is_empty() {
            return Ok(false);
        }
        let mut listing = files.list(tree::REPOSITORIES);
        Ok(listing.try_next().await?.is_some_and(|batch| !batch.is_empty()))
    }

    pub(crate) async fn import_as_asked(
        &self,
        with_journal: bool,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Imported, RegistryError> {
        self.refuse_when_read_only()?;
        let imported = self.take_over(with_journal, tell).await?;
        self.settle_links().await?;
        Ok(imported)
    }
}
