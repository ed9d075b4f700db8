use berth_config::Quota;
use berth_metadata::{MountSource, Usage};
use berth_oci::{Digest, Reference, RepositoryName, RepositoryPrefix, Tag};

use crate::error::{ExceededQuota, QuotaOf};
use crate::{Registry, RegistryError};

/// The quotas that a repository counts for, and what stands against them.
struct Quotas<'a>(Vec<(&'a Quota, Usage)>);

impl Quotas<'_> {
    /// Refuses when `more` than there is would exceed a limit.
    fn allow(&self, of: QuotaOf, more: impl Fn(&Usage) -> u64) -> Result<(), RegistryError> {
        for (quota, usage) in &self.0 {
            let (limit, used) = match of {
                QuotaOf::Bytes => (quota.bytes.map(|size| size.bytes()), usage.bytes),
                QuotaOf::Manifests => (quota.manifests, usage.manifests),
                QuotaOf::Tags => (quota.tags, usage.tags),
            };
            let more = more(usage);
            if let Some(limit) = limit
                && more > 0
                && used.saturating_add(more) > limit
            {
                let prefix = usage.prefix.clone();
                let exceeded = ExceededQuota { prefix, of, limit, used, more };
                return Err(RegistryError::QuotaExceeded(Box::new(exceeded)));
            }
        }
        Ok(())
    }
}

/// Each looks before the change is made: pushes that are under way at the same moment may pass a limit
/// together, and none of them waits for another.
impl Registry {
    /// Whether a blob of so many bytes may come to the repository. A blob that is there for a quota
    /// already counts nothing.
    pub(super) async fn refuse_blob_over_quota(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: u64,
    ) -> Result<(), RegistryError> {
        let config = self.config();
        let quotas = self.quotas(&config.policy.quotas, repository, Some(digest)).await?;
        quotas.allow(QuotaOf::Bytes, |usage| if usage.has_blob { 0 } else { size })
    }

    /// Whether there is room for any byte: a client should know before it sends them.
    pub(super) async fn refuse_upload_without_room(
        &self,
        repository: &RepositoryName,
    ) -> Result<(), RegistryError> {
        let config = self.config();
        let quotas = self.quotas(&config.policy.quotas, repository, None).await?;
        quotas.allow(QuotaOf::Bytes, |_| 1)
    }

    /// Whether the blob may be mounted; false when its size is not known and it should be uploaded.
    pub(super) async fn allow_mount(
        &self,
        target: &RepositoryName,
        source: MountSource<'_>,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let config = self.config();
        if !config.policy.quotas.iter().any(|quota| quota.repositories.covers(target)) {
            return Ok(true);
        }
        let MountSource::Repository(name) = source else { return Ok(false) };
        match self.metadata.blob(name, digest).await? {
            Some(linked) => {
                self.refuse_blob_over_quota(target, digest, linked.blob.size).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Whether a manifest and its tags may come to the repository, which may be there already.
    pub(super) async fn refuse_manifest_over_quota(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        tags: &[Tag],
    ) -> Result<(), RegistryError> {
        let config = self.config();
        let quotas = self.quotas(&config.policy.quotas, repository, None).await?;
        if quotas.0.is_empty() {
            return Ok(());
        }
        let mut new_tags = 0;
        for tag in tags {
            let reference = Reference::Tag(tag.clone());
            new_tags += u64::from(self.metadata.manifest(repository, &reference).await?.is_none());
        }
        let known = self.metadata.manifest(repository, &Reference::Digest(*digest)).await?;
        quotas.allow(QuotaOf::Manifests, |_| u64::from(known.is_none()))?;
        quotas.allow(QuotaOf::Tags, |_| new_tags)
    }

    /// The quotas that cover the repository, with what their repositories hold.
    async fn quotas<'a>(
        &self,
        quotas: &'a [Quota],
        repository: &RepositoryName,
        blob: Option<&Digest>,
    ) -> Result<Quotas<'a>, RegistryError> {
        let covering: Vec<&Quota> =
            quotas.iter().filter(|quota| quota.repositories.covers(repository)).collect();
        if covering.is_empty() {
            return Ok(Quotas(Vec::new()));
        }
        let prefixes: Vec<RepositoryPrefix> =
            covering.iter().map(|quota| quota.repositories.prefix().clone()).collect();
        let mut usage = self.metadata.usage(&prefixes, blob).await?;
        if usage.len() < prefixes.len() {
            // The first push since the quota was set.
            self.metadata.count_usage(&prefixes).await?;
            usage = self.metadata.usage(&prefixes, blob).await?;
        }
        Ok(Quotas(covering.into_iter().zip(usage).collect()))
    }
}
