use berth_metadata::{DeletedManifest, Deletion, DeletionId, NewEvent, Restore};
use berth_oci::{Digest, Reference, Tag};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::notifications::{Origin, ToldManifest};
use crate::{ContentName, Registry, RegistryError};

/// How many manifests are looked up at a time, and how many of these come back side by side.
const PAGE: u32 = 256;
const SIDE_BY_SIDE: usize = 16;

/// How many tags of a manifest come back in one transaction.
const TAGS: u32 = 500;

/// What came back, or did not, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// A manifest, with its digest; its tags follow.
    Manifest(Digest),
    /// A tag.
    Tag(Tag),
    /// A tag that points elsewhere by now, and was left alone.
    Taken(Tag),
    /// A manifest that needs content which the repository has no longer.
    Missing { manifest: Digest, content: Vec<Digest> },
    /// A manifest that tags pointed to and that cannot be had back.
    Gone(Digest),
}

/// How a pass over a deletion went.
#[derive(Clone, Copy, Debug, Default)]
struct Pass {
    restored: u64,
    refused: u64,
}

impl Registry {
    /// Brings back the newest deletion of a name as far as it can be had back, and tells `tell` of each
    /// thing.
    pub(crate) async fn restore(
        &self,
        name: &ContentName,
        origin: &Origin,
        mut tell: impl AsyncFnMut(Restored),
    ) -> Result<(), RegistryError> {
        self.refuse_when_read_only()?;
        // What is still being deleted would go on to go.
        self.finish_deletions(origin).await?;
        let ContentName { repository, reference } = name;
        let found = self.metadata.find_deletion(repository, reference.as_ref()).await?;
        let found = found.ok_or_else(|| RegistryError::NothingDeleted(name.clone()))?;
        if let Some(manifest) = self.later_deletion(&found).await? {
            self.restore_deletion(&manifest, origin, &mut tell).await?;
        }
        self.restore_deletion(&found, origin, &mut tell).await
    }

    /// The deletion of the manifest that a deleted tag pointed to, if that has gone since.
    async fn later_deletion(&self, deletion: &Deletion) -> Result<Option<Deletion>, RegistryError> {
        let Some(Reference::Tag(_)) = &deletion.reference else { return Ok(None) };
        let content = self.metadata.deleted_manifests(deletion.id, None, 1).await?;
        let Some(manifest) = content.first() else { return Ok(None) };
        let named = Reference::Digest(manifest.digest);
        if self.metadata.manifest(&deletion.repository, &named).await?.is_some() {
            return Ok(None);
        }
        Ok(self.metadata.find_deletion(&deletion.repository, Some(&named)).await?)
    }

    /// An index comes back after what it names, so passes are made until one brings nothing back. The
    /// last one tells of what cannot be had.
    async fn restore_deletion(
        &self,
        deletion: &Deletion,
        origin: &Origin,
        tell: &mut impl AsyncFnMut(Restored),
    ) -> Result<(), RegistryError> {
        loop {
            let pass = self.pass(deletion, origin, false, tell).await?;
            if pass.refused == 0 {
                return Ok(());
            }
            if pass.restored == 0 {
                return self.pass(deletion, origin, true, tell).await.map(drop);
            }
        }
    }

    async fn pass(
        &self,
        deletion: &Deletion,
        origin: &Origin,
        is_last: bool,
        tell: &mut impl AsyncFnMut(Restored),
    ) -> Result<Pass, RegistryError> {
        let mut pass = Pass::default();
        let mut after = None;
        loop {
            let page = self.metadata.deleted_manifests(deletion.id, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(pass) };
            after = Some(last.digest);
            // What names nothing comes first.
            let (indexes, plain): (Vec<_>, Vec<_>) =
                page.into_iter().partition(|manifest| manifest.is_index);
            for batch in [plain, indexes] {
                let restored: Vec<Vec<Restored>> = stream::iter(batch)
                    .map(|manifest| self.restore_one(deletion, manifest, origin))
                    .buffered(SIDE_BY_SIDE)
                    .try_collect()
                    .await?;
                for one in restored.into_iter().flatten() {
                    match one {
                        Restored::Missing { .. } | Restored::Gone(_) => {
                            pass.refused += 1;
                            if !is_last {
                                continue;
                            }
                        }
                        Restored::Manifest(_) | Restored::Tag(_) => pass.restored += 1,
                        Restored::Taken(_) => {}
                    }
                    tell(one).await;
                }
            }
        }
    }

    async fn restore_one(
        &self,
        deletion: &Deletion,
        manifest: DeletedManifest,
        origin: &Origin,
    ) -> Result<Vec<Restored>, RegistryError> {
        let digest = manifest.digest;
        let events = self.events_of(deletion, &digest, origin).await?;
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let restore =
                self.metadata.restore(deletion.id, &digest, after.as_ref(), TAGS, &events).await?;
            match restore {
                Restore::Restored { tags, taken, more_after } => {
                    self.notifications.recorded(&events);
                    if after.is_none() {
                        all.push(Restored::Manifest(digest));
                    }
                    all.extend(tags.into_iter().map(Restored::Tag));
                    all.extend(taken.into_iter().map(Restored::Taken));
                    match more_after {
                        Some(tag) => after = Some(tag),
                        None => return Ok(all),
                    }
                }
                Restore::Missing(content) => {
                    all.push(Restored::Missing { manifest: digest, content });
                    return Ok(all);
                }
                Restore::ManifestGone => {
                    all.push(Restored::Gone(digest));
                    return Ok(all);
                }
                // Somebody else has brought it back, or its time is over.
                Restore::Unknown => return Ok(all),
            }
        }
    }

    /// The events of a manifest that comes back: as of a push, since others have no word for it.
    async fn events_of(
        &self,
        deletion: &Deletion,
        digest: &Digest,
        origin: &Origin,
    ) -> Result<Vec<NewEvent>, RegistryError> {
        if origin.is_nowhere() {
            return Ok(Vec::new());
        }
        let told = |media_type: &str, payload: &[u8]| {
            let repository = &deletion.repository;
            let manifest = ToldManifest { repository, digest: *digest, media_type, payload };
            self.notifications.pushed_manifest(origin, manifest, &[])
        };
        if let Some(record) = self.metadata.deleted_manifest(deletion.id, digest).await? {
            return Ok(told(&record.media_type, &record.payload));
        }
        let named = Reference::Digest(*digest);
        let present = self.metadata.manifest(&deletion.repository, &named).await?;
        Ok(present.map(|record| told(&record.media_type, &record.payload)).unwrap_or_default())
    }

    /// Deletions that can be had back, the newest first, those before `before`.
    pub(crate) async fn deletions(
        &self,
        repository: Option<&berth_oci::RepositoryName>,
        before: Option<DeletionId>,
    ) -> Result<Vec<Deletion>, RegistryError> {
        Ok(self.metadata.deletions(repository, before, PAGE).await?)
    }
}
