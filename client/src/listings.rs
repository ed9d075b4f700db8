use berth_oci::{Descriptor, Digest, RepositoryName, Tag};
use http::header::LINK;
use http::{HeaderMap, Method};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::manifests::pull_scope;
use crate::transport::{Call, read_bounded};
use crate::{ClientError, RegistryClient};

/// The longest page of a listing that is read, in bytes.
const LONGEST_PAGE: usize = 8 << 20;

/// How many pages of a listing are read at most.
const PAGES: usize = 1000;

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<Descriptor>,
}

impl RegistryClient {
    /// All tags of a repository, those left out that cannot be tags.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, ClientError> {
        let url = self.url().join(&format!("{repository}/tags/list"));
        let pages: Vec<Tags> = self.pages(repository, url).await?;
        let names = pages.into_iter().flat_map(|page| page.tags.unwrap_or_default());
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// What is attached to a manifest, as the registry lists it.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] where the registry has no such listings, and see [`ClientError`].
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, ClientError> {
        let url = self.url().join(&format!("{repository}/referrers/{subject}"));
        let pages: Vec<Referrers> = self.pages(repository, url).await?;
        Ok(pages.into_iter().flat_map(|page| page.manifests).collect())
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        repository: &RepositoryName,
        first: Url,
    ) -> Result<Vec<T>, ClientError> {
        let mut pages = Vec::new();
        let mut next = Some(first);
        while let Some(url) = next {
            if pages.len() == PAGES {
                return Err(self.transport.nonsense("a listing without an end"));
            }
            let what = format!("repository {repository}");
            let call = Call::new(Method::GET, url, pull_scope(repository), what);
            let response = self.transport.send(&call).await?;
            next = next_page(response.headers()).and_then(|link| call.url.join(&link).ok());
            let (registry, stall) = (self.transport.authority(), self.transport.stall_timeout());
            let body = read_bounded(registry, response, LONGEST_PAGE, stall).await?;
            let page = serde_json::from_slice(&body);
            pages.push(page.map_err(|_| self.transport.nonsense("a page that is no listing"))?);
        }
        Ok(pages)
    }
}

/// Where the next page is (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then(|| target.to_owned())
}
