use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use super::{adoption, damage, tree};
use crate::sqlite::SqliteStore;
use crate::sqlite::store::read;
use crate::{
    AdoptedLinks, AdoptedTags, AdoptionStore, BlobCursor, BlobLocation, BlobRecord, DamageStore,
    DamagedBlob, FoundBlob, FoundLink, FoundManifest, FoundTag, ManifestCursor, MetadataError,
    Misfit, NamedBlob, Origins, Orphans, Page, TreeCursor, TreeEntry, TreeStore,
    UnlinkedReferences,
};

#[async_trait]
impl AdoptionStore for SqliteStore {
    async fn begin_adoption(&self) -> Result<(), MetadataError> {
        self.write(adoption::Forget).await
    }

    async fn found_blobs(&self, blobs: Vec<FoundBlob>) -> Result<(), MetadataError> {
        self.write(adoption::NoteBlobs(blobs)).await
    }

    async fn adopt_links(
        &self,
        links: Vec<FoundLink>,
        lease: Duration,
    ) -> Result<AdoptedLinks, MetadataError> {
        self.write(adoption::AdoptLinks { links, lease }).await
    }

    async fn unknown_manifests(
        &self,
        manifests: Vec<(RepositoryName, Digest)>,
    ) -> Result<Vec<(RepositoryName, Digest)>, MetadataError> {
        read!(self, adoption::unknown_manifests(&manifests))
    }

    async fn adopt_manifests(&self, manifests: Vec<FoundManifest>) -> Result<(), MetadataError> {
        self.write(adoption::AdoptManifests(manifests)).await
    }

    async fn found_tags(&self, tags: Vec<FoundTag>) -> Result<(), MetadataError> {
        self.write(adoption::NoteTags(tags)).await
    }

    async fn adopt_tags(
        &self,
        limit: u32,
        origins: &Origins,
    ) -> Result<AdoptedTags, MetadataError> {
        let origins = origins.clone();
        let adopted = self.write(adoption::AdoptTags { limit, origins }).await?;
        Ok(adopted.answer)
    }

    async fn unlinked_references(
        &self,
        after: Option<ManifestCursor>,
        limit: u32,
    ) -> Result<UnlinkedReferences, MetadataError> {
        read!(self, adoption::unlinked_references(after, limit))
    }

    async fn misfits(&self, limit: u32) -> Result<Vec<Misfit>, MetadataError> {
        read!(self, adoption::misfits(limit))
    }

    async fn forget_misfits(&self, misfits: Vec<Misfit>) -> Result<(), MetadataError> {
        self.write(adoption::ForgetMisfits(misfits)).await
    }

    async fn orphans(&self) -> Result<Orphans, MetadataError> {
        read!(self, adoption::orphans())
    }

    async fn end_adoption(&self) -> Result<(), MetadataError> {
        self.write(adoption::Forget).await
    }
}

#[async_trait]
impl DamageStore for SqliteStore {
    async fn blobs(
        &self,
        after: Option<BlobCursor>,
        limit: u32,
    ) -> Result<Vec<NamedBlob>, MetadataError> {
        read!(self, damage::list(after, limit))
    }

    async fn blob_anywhere(&self, digest: &Digest) -> Result<Option<BlobRecord>, MetadataError> {
        read!(self, damage::find(digest))
    }

    async fn quarantine_blob(
        &self,
        blob: &BlobRecord,
        to: &BlobLocation,
        reason: &str,
    ) -> Result<bool, MetadataError> {
        let (blob, to, reason) = (blob.clone(), to.clone(), reason.to_owned());
        self.write(damage::Quarantine { blob, to, reason }).await
    }

    async fn damaged_blobs(
        &self,
        after: Option<&Digest>,
        limit: u32,
    ) -> Result<Page<DamagedBlob>, MetadataError> {
        read!(self, damage::damaged(after, limit))
    }

    async fn repositories_of_blob(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, MetadataError> {
        read!(self, damage::repositories(digest, limit))
    }

    async fn scrub_position(&self) -> Result<Option<BlobCursor>, MetadataError> {
        read!(self, damage::position())
    }

    async fn set_scrub_position(&self, position: Option<BlobCursor>) -> Result<(), MetadataError> {
        self.write(damage::SetPosition(position)).await
    }
}

#[async_trait]
impl TreeStore for SqliteStore {
    async fn tree_entries_of_kind(
        &self,
        after: &TreeCursor,
        limit: u32,
    ) -> Result<Vec<(TreeCursor, TreeEntry)>, MetadataError> {
        read!(self, tree::entries(after, i64::from(limit)))
    }
}
