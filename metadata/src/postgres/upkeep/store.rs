use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName};

use super::{adoption, damage, tree};
use crate::postgres::PostgresStore;
use crate::postgres::engine::{read, within};
use crate::postgres::explain::explain;
use crate::postgres::store::primary;
use crate::{
    AdoptedLinks, AdoptedTags, AdoptionStore, BlobCursor, BlobLocation, BlobRecord, DamageStore,
    DamagedBlob, FoundBlob, FoundLink, FoundManifest, FoundTag, ManifestCursor, MetadataError,
    Misfit, NamedBlob, Origins, Orphans, Page, TreeCursor, TreeEntry, TreeStore,
    UnlinkedReferences,
};

#[async_trait]
impl AdoptionStore for PostgresStore {
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
        primary!(self, adoption::unknown_manifests(&manifests))
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
        self.write(adoption::AdoptTags { limit, origins }).await
    }

    async fn unlinked_references(
        &self,
        after: Option<ManifestCursor>,
        limit: u32,
    ) -> Result<UnlinkedReferences, MetadataError> {
        primary!(self, adoption::unlinked_references(after, limit))
    }

    async fn misfits(&self, limit: u32) -> Result<Vec<Misfit>, MetadataError> {
        primary!(self, adoption::misfits(limit))
    }

    async fn forget_misfits(&self, misfits: Vec<Misfit>) -> Result<(), MetadataError> {
        self.write(adoption::ForgetMisfits(misfits)).await
    }

    async fn orphans(&self) -> Result<Orphans, MetadataError> {
        primary!(self, adoption::orphans())
    }

    async fn end_adoption(&self) -> Result<(), MetadataError> {
        self.write(adoption::Forget).await
    }
}

#[async_trait]
impl DamageStore for PostgresStore {
    async fn blobs(
        &self,
        after: Option<BlobCursor>,
        limit: u32,
    ) -> Result<Vec<NamedBlob>, MetadataError> {
        primary!(self, damage::list(after, limit))
    }

    async fn blob_anywhere(&self, digest: &Digest) -> Result<Option<BlobRecord>, MetadataError> {
        primary!(self, damage::find(digest))
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
        primary!(self, damage::damaged(after, limit))
    }

    async fn repositories_of_blob(
        &self,
        digest: &Digest,
        limit: u32,
    ) -> Result<Vec<RepositoryName>, MetadataError> {
        primary!(self, damage::repositories(digest, limit))
    }

    async fn scrub_position(&self) -> Result<Option<BlobCursor>, MetadataError> {
        primary!(self, damage::position())
    }

    async fn set_scrub_position(&self, position: Option<BlobCursor>) -> Result<(), MetadataError> {
        self.write(damage::SetPosition(position)).await
    }
}

#[async_trait]
impl TreeStore for PostgresStore {
    async fn tree_entries_of_kind(
        &self,
        after: &TreeCursor,
        limit: u32,
    ) -> Result<Vec<(TreeCursor, TreeEntry)>, MetadataError> {
        primary!(self, tree::entries(after, i64::from(limit)))
    }
}
