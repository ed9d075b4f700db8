use berth_metadata::{BlobRecord, MountSource};
use berth_oci::{Digest, RepositoryName};
use berth_storage_backends::{OpenBlob, StoreError};

use super::LEASE;
use crate::{Registry, RegistryError};

impl Registry {
    /// The blob, if the repository links it. Asks the database alone.
    pub(crate) async fn stat_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobRecord, RegistryError> {
        let blob = self.metadata.blob(repository, digest).await?;
        blob.ok_or(RegistryError::BlobUnknown(*digest))
    }

    /// Opens the blob for reading, if the repository links it.
    pub(crate) async fn open_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<OpenBlob, RegistryError> {
        let record = self.stat_blob(repository, digest).await?;
        let open = match self.blobs.open(digest, &record.location.0).await {
            Err(StoreError::NotFound) => return Err(RegistryError::Damaged(*digest)),
            other => other?,
        };
        if open.size != record.size {
            return Err(RegistryError::Damaged(*digest));
        }
        Ok(open)
    }

    /// Links a blob of another repository; false when it cannot be had that way and the client
    /// should upload it.
    pub(crate) async fn mount_blob(
        &self,
        target: &RepositoryName,
        source: MountSource<'_>,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        self.refuse_when_read_only()?;
        let mounted = self.metadata.mount_blob(target, source, digest, LEASE).await?;
        Ok(mounted.is_some())
    }

    /// Takes the blob out of the repository.
    pub(crate) async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        self.refuse_when_delete_disabled()?;
        match self.metadata.unlink_blob(repository, digest).await? {
            true => Ok(()),
            false => Err(RegistryError::BlobUnknown(*digest)),
        }
    }
}
