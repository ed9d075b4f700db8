use std::time::Duration;

use berth_metadata::{BlobRecord, LinkedBlob, MountSource, lifecycle};
use berth_oci::{Digest, RepositoryName};
use berth_storage_backends::{OpenBlob, StoreError, is_quarantined};

use crate::notifications::Origin;
use crate::{Registry, RegistryError};

impl Registry {
    /// The blob, if the repository links it. Asks the database alone.
    pub(crate) async fn stat_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobRecord, RegistryError> {
        let blob = self.linked_blob(repository, digest).await?.blob;
        match is_quarantined(&blob.location.0) {
            true => Err(RegistryError::Damaged(*digest)),
            false => Ok(blob),
        }
    }

    /// The blob, to be told to a client that may then leave out its upload: the link is kept until
    /// the manifest has come.
    pub(crate) async fn promise_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobRecord, RegistryError> {
        let LinkedBlob { blob, leased_for } = self.linked_blob(repository, digest).await?;
        if is_quarantined(&blob.location.0) {
            // A client that is told that it is not there pushes it, and so repairs it.
            return Err(RegistryError::BlobUnknown(*digest));
        }
        let maintenance = &self.config().storage.maintenance;
        let lease = maintenance.garbagecollection.lease.get();
        // Nobody can push in read-only mode, so there is nothing to promise.
        let renew = !maintenance.readonly.enabled && lifecycle::must_renew(leased_for, lease);
        if renew && !self.metadata.lease_blob(repository, digest, lease).await? {
            return Err(RegistryError::BlobUnknown(*digest));
        }
        Ok(blob)
    }

    async fn linked_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<LinkedBlob, RegistryError> {
        let linked = self.metadata.blob(repository, digest).await?;
        linked.ok_or(RegistryError::BlobUnknown(*digest))
    }

    /// Opens a blob for a client to read. A few of those that are read are looked at once more.
    pub(crate) async fn open_blob(&self, record: &BlobRecord) -> Result<OpenBlob, RegistryError> {
        let open = self.open_stored(record).await?;
        self.sample(record);
        Ok(open)
    }

    /// Opens a blob, unless it is known to be damaged.
    pub(crate) async fn open_stored(&self, record: &BlobRecord) -> Result<OpenBlob, RegistryError> {
        let digest = &record.digest;
        if is_quarantined(&record.location.0) {
            return Err(RegistryError::Damaged(*digest));
        }
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
        origin: &Origin,
    ) -> Result<bool, RegistryError> {
        self.refuse_when_read_only()?;
        if !self.allow_mount(target, source, digest).await? {
            return Ok(false);
        }
        let lease = self.config().storage.maintenance.garbagecollection.lease.get();
        let from = match source {
            MountSource::Repository(name) => Some(name),
            MountSource::Any => None,
        };
        let events = self.notifications.mounted_blob(origin, target, from, *digest);
        let mounted = self.metadata.mount_blob(target, source, digest, lease, &events).await?;
        let Some(mounted) = mounted else { return Ok(false) };
        self.notifications.recorded(&events);
        // The client that is told to push a damaged blob repairs it.
        Ok(!is_quarantined(&mounted.location.0))
    }

    /// Takes the blob out of the repository.
    pub(crate) async fn delete_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        origin: &Origin,
    ) -> Result<(), RegistryError> {
        self.refuse_when_delete_disabled()?;
        let grace = self.config().storage.maintenance.garbagecollection.graceperiod.get();
        let events = self.notifications.deleted(origin, repository, *digest);
        match self.metadata.unlink_blob(repository, digest, grace, &events).await? {
            true => {
                self.notifications.recorded(&events);
                Ok(())
            }
            false => Err(RegistryError::BlobUnknown(*digest)),
        }
    }
}
