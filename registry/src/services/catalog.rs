use berth_metadata::Page;
use berth_oci::RepositoryName;

use crate::access::Caller;
use crate::{Registry, RegistryError};

/// How many names are read at a time for a page of those that a caller may see. However many are
/// passed over, no answer names one of them.
const READ: u32 = 1_000;

impl Registry {
    /// A page of the repositories that a caller may read.
    pub(crate) async fn catalog_for(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: u32,
    ) -> Result<CatalogPage, RegistryError> {
        let sees_all = match &self.access {
            None => true,
            Some(access) => caller.may_read_all(&access.policy()),
        };
        if sees_all {
            let page = self.metadata.repositories(after, limit).await?;
            let last = page.entries.last().map(ToString::to_string);
            return Ok(CatalogPage { last: last.filter(|_| page.more), entries: page.entries });
        }
        self.visible(caller, after, limit as usize).await
    }

    async fn visible(
        &self,
        caller: &Caller,
        after: Option<&str>,
        limit: usize,
    ) -> Result<CatalogPage, RegistryError> {
        let Some(access) = &self.access else { return Ok(CatalogPage::default()) };
        let mut entries = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let Page { entries: names, more } =
                self.metadata.repositories(after.as_deref(), READ).await?;
            let policy = access.policy();
            let count = names.len();
            for (at, name) in names.into_iter().enumerate() {
                after = Some(name.to_string());
                if caller.sees(&policy, name.as_str()) {
                    entries.push(name);
                    if entries.len() == limit {
                        let is_last = !more && at + 1 == count;
                        return Ok(CatalogPage { entries, last: after.filter(|_| !is_last) });
                    }
                }
            }
            if !more {
                return Ok(CatalogPage { entries, last: None });
            }
        }
    }
}

/// A page of repositories.
#[derive(Debug, Default)]
pub(crate) struct CatalogPage {
    /// The names.
    pub(crate) entries: Vec<RepositoryName>,
    /// Behind which name the next page begins, where there is one.
    pub(crate) last: Option<String>,
}
