use berth_metadata::Page;
use berth_oci::{RepositoryName, Tag};

use crate::{Registry, RegistryError};

impl Registry {
    /// A page of the repository's tags.
    pub(crate) async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Tag>, RegistryError> {
        let page = self.metadata.tags(repository, after, limit).await?;
        page.ok_or_else(|| RegistryError::NameUnknown(repository.clone()))
    }
}
