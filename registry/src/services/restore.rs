use berth_metadata::{Deletion, DeletionId, NewEvent, Restore};
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use futures_util::future::try_join_all;
use tokio::sync::mpsc;

use crate::control::Told;
use crate::notifications::{Origin, ToldManifest};
use crate::{ContentName, Registry, RegistryError};

/// How many manifests are looked up at a time, and how many of these come back side by side.
const PAGE: u32 = 256;
const SIDE_BY_SIDE: usize = 16;

/// How many tags of a manifest come back in one transaction.
const TAGS: u32 = 500;

/// What came back, or did not, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Restored {
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

impl Restored {
    /// Whether it did not come back, and another pass may bring it.
    fn is_refused(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Gone(_))
    }
}

impl Pass {
    fn count(&mut self, one: &Restored) {
        match one {
            Restored::Manifest(_) | Restored::Tag(_) => self.restored += 1,
            Restored::Missing { .. } | Restored::Gone(_) => self.refused += 1,
            Restored::Taken(_) => {}
        }
    }
}

/// What a person is told.
fn words(repository: &RepositoryName, one: Restored) -> String {
    match one {
        Restored::Manifest(digest) => format!("restored {repository}@{digest}"),
        Restored::Tag(tag) => format!("restored {repository}:{tag}"),
        Restored::Taken(tag) => {
            format!("left {repository}:{tag} alone: it was set anew since")
        }
        Restored::Missing { manifest, content } => {
            let content: Vec<String> = content.iter().map(ToString::to_string).collect();
            format!(
                "cannot restore {repository}@{manifest}: it needs {}, which the repository has no longer; push that again first",
                content.join(", ")
            )
        }
        Restored::Gone(digest) => format!(
            "cannot restore the tags of {repository}@{digest}: the manifest was deleted and can be had back no longer"
        ),
    }
}

impl Registry {
    /// Brings back the newest deletion of a name as far as it can be had back, and tells `tell` of each
    /// thing. Answers whether anything came back, or all was there.
    pub(crate) async fn restore(
        &self,
        name: &ContentName,
        origin: &Origin,
        tell: &mpsc::Sender<Told>,
    ) -> Result<bool, RegistryError> {
        self.refuse_when_read_only()?;
        // What is still being deleted would go on to go.
        self.finish_deletions(origin).await?;
        let ContentName { repository, reference } = name;
        let found = self.metadata.find_deletion(repository, reference.as_ref()).await?;
        let found = found.ok_or_else(|| RegistryError::NothingDeleted(name.clone()))?;
        if let Some(manifest) = self.later_deletion(&found).await? {
            self.restore_deletion(&manifest, origin, tell).await?;
        }
        self.restore_deletion(&found, origin, tell).await
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
        tell: &mpsc::Sender<Told>,
    ) -> Result<bool, RegistryError> {
        let mut is_restored = false;
        loop {
            let pass = self.pass(deletion, origin, false, tell).await?;
            is_restored |= pass.restored > 0 || pass.refused == 0;
            if pass.refused == 0 {
                return Ok(is_restored);
            }
            if pass.restored == 0 {
                self.pass(deletion, origin, true, tell).await?;
                return Ok(is_restored);
            }
        }
    }

    async fn pass(
        &self,
        deletion: &Deletion,
        origin: &Origin,
        is_last: bool,
        tell: &mpsc::Sender<Told>,
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
                for few in batch.chunks(SIDE_BY_SIDE) {
                    let each = few.iter().map(|one| self.restore_one(deletion, one.digest, origin));
                    let restored = try_join_all(each).await?;
                    for one in restored.into_iter().flatten() {
                        pass.count(&one);
                        if is_last || !one.is_refused() {
                            let line = words(&deletion.repository, one);
                            // Whoever asked may have gone.
                            let _ = tell.send(Told::Line(line)).await;
                        }
                    }
                }
            }
        }
    }

    async fn restore_one(
        &self,
        deletion: &Deletion,
        digest: Digest,
        origin: &Origin,
    ) -> Result<Vec<Restored>, RegistryError> {
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
        repository: Option<&RepositoryName>,
        before: Option<DeletionId>,
    ) -> Result<Vec<Deletion>, RegistryError> {
        Ok(self.metadata.deletions(repository, before, PAGE).await?)
    }
}
