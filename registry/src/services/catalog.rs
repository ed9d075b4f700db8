use berth_metadata::Page;
use berth_oci::RepositoryName;

use crate::{Registry, RegistryError};

impl Registry {
    /// A page of the repositories.
    pub(crate) async fn catalog(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<RepositoryName>, RegistryError> {
        Ok(self.metadata.repositories(after, limit).await?)
    }
}
