use std::sync::Arc;

use berth_metadata::ManifestRecord;
use berth_mirror::{Arrival, Source, Via};
use berth_oci::{Child, Digest, Manifest, Reference, RepositoryName};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tracing::debug;

use super::PulledBlob;
use crate::{Registry, RegistryError};

impl Registry {
    /// Fetches all that a manifest is made of and what is attached to it, one thing after the other, so
    /// that it is here before somebody wants it. What cannot be had now is fetched then.
    pub(super) fn prefetch(
        self: Arc<Self>,
        source: Source,
        repository: RepositoryName,
        manifest: Arc<ManifestRecord>,
    ) -> BoxFuture<'static, ()> {
        async move {
            let parsed = Manifest::parse(Some(&manifest.media_type), &manifest.payload);
            let Ok(parsed) = parsed else { return };
            for child in parsed.children() {
                let fetched = match child {
                    Child::Blob(blob) => self.prefetch_blob(&repository, &blob.digest).await,
                    // Its flight fetches what it is made of.
                    Child::Manifest(child) => {
                        self.prefetch_manifest(&repository, child.digest).await
                    }
                };
                if let Err(error) = fetched {
                    debug!(%repository, %error, "something was not fetched beforehand");
                }
            }
            let Ok(attached) = source.referrers(&manifest.digest).await else { return };
            for referrer in attached {
                if let Err(error) = self.prefetch_manifest(&repository, referrer.digest).await {
                    debug!(%repository, %error, "a referrer was not fetched beforehand");
                }
            }
        }
        .boxed()
    }

    async fn prefetch_manifest(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<(), RegistryError> {
        self.pull_manifest(repository, &Reference::Digest(digest), &Via::default()).await.map(drop)
    }

    /// Returns once the blob has come, so that not all of an image comes at once.
    async fn prefetch_blob(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<(), RegistryError> {
        let PulledBlob::Arriving(mut arriving) =
            self.pull_blob(repository, digest, &Via::default()).await?
        else {
            return Ok(());
        };
        let is_over = |state: &Arrival| !matches!(state, Arrival::Coming);
        // A fetch that ended without a word is over, too.
        let _ = arriving.progress.wait_for(|progress| is_over(&progress.state)).await;
        Ok(())
    }
}
