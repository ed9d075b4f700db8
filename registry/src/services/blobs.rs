use std::time::Duration;

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

    /// Opens a blob for reading.
    pub(crate) async fn open_blob(&self, record: &BlobRecord) -> Result<OpenBlob, RegistryError> {
        let digest = &record.digest;
        let open = match self.blobs.open(digest, &record.location.0).await {
            Err(StoreError::NotFound) => return Err(RegistryError::Damaged(*digest)),
            other => other?,
        };
        if open.size != record.size {
            return Err(RegistryError::Damaged(*digest));
        }
        Ok(open)
    }

    /// An address at which a blob can be read from the store itself for so long, where the store has
    /// such addresses.
    pub(crate) async fn presign_blob(
        &self,
        blob: &BlobRecord,
        valid: Duration,
    ) -> Result<Option<String>, RegistryError> {
        Ok(self.blobs.presign(&blob.digest, &blob.location.0, valid).await?)
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
