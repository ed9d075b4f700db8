use std::sync::Arc;

use berth_config::Config;
use berth_metadata::{DeleteManifest, DeletionId, Keep, ProtectedTags};
use berth_oci::{Digest, Reference, RepositoryName, Tag};

use super::manifests::immutable_tag;
use crate::error::NamedManifest;
use crate::notifications::Origin;
use crate::{Registry, RegistryError};

/// How many manifests or tags go in one transaction, which others wait for.
const BATCH: u32 = 100;

/// How many deletions are looked up at a time.
const PAGE: u32 = 100;

/// How many rows are forgotten in one transaction.
const FORGOTTEN: u32 = 500;

impl Registry {
    /// How long that is kept which a deletion takes away.
    pub(super) fn keep(&self) -> Keep {
        let storage = &self.config().storage;
        Keep {
            // Who has just read a manifest goes on to its blobs.
            grace: storage.maintenance.garbagecollection.graceperiod.get(),
            undelete: storage.delete.undelete.get(),
        }
    }

    /// Deletes a tag alone, or a manifest with all its tags and what is attached to it.
    pub(crate) async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        self.refuse_when_delete_disabled()?;
        match reference {
            Reference::Tag(tag) => self.delete_tag(repository, tag, origin).await,
            Reference::Digest(digest) => self.delete_digest(repository, digest, origin).await,
        }
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        let config = self.config();
        // An immutable tag never goes, so there is no race in looking whether it is there.
        if let Some(rule) = config.policy.immutable(repository.as_str(), tag.as_str()) {
            self.manifest(repository, &Reference::Tag(tag.clone())).await?;
            return Err(RegistryError::TagImmutable { tag: tag.clone(), rule });
        }
        let events = self.notifications.deleted_tag(origin, repository, tag);
        let undelete = self.keep().undelete;
        if !self.metadata.delete_tag(repository, tag, undelete, &events).await? {
            return Err(RegistryError::ManifestUnknown(Reference::Tag(tag.clone())));
        }
        self.notifications.recorded(&events);
        Ok(())
    }

    async fn delete_digest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        let events = self.notifications.deleted(origin, repository, *digest);
        let config = self.config();
        let protected = protected_tags(&config, repository);
        let deletion = self.metadata.delete_unprotected_manifest(
            repository,
            digest,
            self.keep(),
            &events,
            &protected,
        );
        match deletion.await? {
            DeleteManifest::Unknown => {
                Err(RegistryError::ManifestUnknown(Reference::Digest(*digest)))
            }
            DeleteManifest::Protected(tag) => Err(immutable_tag(&config.policy, repository, tag)),
            DeleteManifest::NamedBy(index) => {
                Err(RegistryError::ManifestNamed(Box::new(NamedManifest {
                    manifest: *digest,
                    index,
                })))
            }
            DeleteManifest::Deleted { unfinished } => {
                self.notifications.recorded(&events);
                match unfinished {
                    Some(id) => self.finish_deletion(id, origin).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Deletes a repository with everything that was pushed to it until now.
    pub(crate) async fn delete_repository(
        &self,
        repository: &RepositoryName,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        self.refuse_when_delete_disabled()?;
        self.refuse_when_any_tag_is_immutable(repository).await?;
        let undelete = self.keep().undelete;
        match self.metadata.delete_repository(repository, undelete).await? {
            Some(id) => self.finish_deletion(id, origin).await,
            None => Err(RegistryError::NameUnknown(repository.clone())),
        }
    }

    /// A repository with an immutable tag is not deleted whole.
    async fn refuse_when_any_tag_is_immutable(
        &self,
        repository: &RepositoryName,
    ) -> Result<(), RegistryError> {
        let config = self.config();
        if !config.policy.has_immutable_tags(repository.as_str()) {
            return Ok(());
        }
        let mut after: Option<Tag> = None;
        loop {
            let after_name = after.as_ref().map(Tag::as_str);
            let Some(page) = self.metadata.tags(repository, after_name, PAGE).await? else {
                return Ok(());
            };
            for tag in &page.entries {
                if let Some(rule) = config.policy.immutable(repository.as_str(), tag.as_str()) {
                    return Err(RegistryError::TagImmutable { tag: tag.clone(), rule });
                }
            }
            match page.entries.into_iter().next_back().filter(|_| page.more) {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Goes on with a deletion to its end.
    async fn finish_deletion(&self, id: DeletionId, origin: &Origin) -> Result<(), RegistryError> {
        let events = self.notifications.deleted_content(origin);
        let grace = self.keep().grace;
        while self.metadata.continue_deletion(id, grace, BATCH, &events).await? {}
        Ok(())
    }

    /// Goes on with all deletions to their ends: those of a process that has died, too.
    pub(super) async fn finish_deletions(&self, origin: &Origin) -> Result<(), RegistryError> {
        let mut after = None;
        loop {
            let open = self.metadata.open_deletions(after, PAGE).await?;
            for id in &open {
                self.finish_deletion(*id, origin).await?;
            }
            match open.last() {
                Some(last) => after = Some(*last),
                None => return Ok(()),
            }
        }
    }

    /// Goes on with what a process left that died in the middle of a deletion, and forgets what can be
    /// had back no longer. Every step is a transaction: it can be broken off between any two.
    pub(super) async fn tidy_deletions(&self) -> Result<(), RegistryError> {
        self.finish_deletions(&self.notifications.own_origin(&self.config())).await?;
        self.forget_deletions().await
    }

    async fn forget_deletions(&self) -> Result<(), RegistryError> {
        while self.metadata.forget_deletions(FORGOTTEN).await? >= u64::from(FORGOTTEN) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// The tags of a repository that are not to be deleted with their manifest.
fn protected_tags(config: &Arc<Config>, repository: &RepositoryName) -> ProtectedTags {
    if !config.policy.has_immutable_tags(repository.as_str()) {
        return ProtectedTags::default();
    }
    let (config, repository) = (Arc::clone(config), repository.clone());
    ProtectedTags::new(move |tag| {
        config.policy.immutable(repository.as_str(), tag.as_str()).is_some()
    })
}
