use berth_metadata::{Page, Referrer};
use berth_oci::{Digest, RepositoryName};

use crate::{Registry, RegistryError};

/// How many referrers a page has. Their annotations make them large.
const PAGE: u32 = 500;

impl Registry {
    /// A page of the manifests that are attached to `subject`. A subject or a repository that is
    /// not there has none, which is no error: clients ask before they push.
    pub(crate) async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
    ) -> Result<Page<Referrer>, RegistryError> {
        Ok(self.metadata.referrers(repository, subject, artifact_type, after, PAGE).await?)
    }
}
