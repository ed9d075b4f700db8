use berth_oci::{Descriptor, Digest, RepositoryName, Tag};
use http::header::{LINK, VIA};
use http::{HeaderMap, Method};
use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::manifests::pull_scope;
use crate::transport::{Call, read_bounded};
use crate::{ClientError, RegistryClient};

/// The longest page of a listing that is read, in bytes.
const LONGEST_PAGE: usize = 8 << 20;

/// How many pages of referrers are read at most.
const PAGES: usize = 100;

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<Descriptor>,
}

impl RegistryClient {
    /// The first `limit` tags of a repository behind `after`, in the order of their bytes, and whether
    /// there are more. Registries that know no pages give all they have, of which these are taken.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Tag>, bool), ClientError> {
        let mut url = self.url().join(&format!("{repository}/tags/list"));
        url.query_pairs_mut().append_pair("n", &limit.to_string());
        if let Some(after) = after {
            url.query_pairs_mut().append_pair("last", after);
        }
        let (page, next): (Tags, _) = self.page(repository, url).await?;
        let names = page.tags.unwrap_or_default().into_iter();
        let behind = names.filter(|name| after.is_none_or(|after| name.as_str() > after));
        let mut tags: Vec<Tag> = behind.filter_map(|name| name.parse().ok()).collect();
        tags.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        let more = next.is_some() || tags.len() > limit;
        tags.truncate(limit);
        Ok((tags, more))
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
        let (mut next, mut found) = (url, Vec::new());
        for _ in 0..PAGES {
            let (page, following): (Referrers, _) = self.page(repository, next).await?;
            found.extend(page.manifests);
            match following {
                Some(url) => next = url,
                None => return Ok(found),
            }
        }
        Err(self.transport.nonsense("a listing without an end"))
    }

    /// A page of a listing, and where the next one is.
    async fn page<T: DeserializeOwned>(
        &self,
        repository: &RepositoryName,
        url: Url,
    ) -> Result<(T, Option<Url>), ClientError> {
        let what = format!("repository {repository}");
        let mut call = Call::new(Method::GET, url, pull_scope(repository), what);
        call.headers.extend(self.via.clone().map(|hops| (VIA, hops)));
        let response = self.transport.send(&call).await?;
        let next = next_page(response.headers()).and_then(|link| call.url.join(&link).ok());
        let (registry, stall) = (self.transport.authority(), self.transport.stall_timeout());
        let body = read_bounded(registry, response, LONGEST_PAGE, stall).await?;
        let page = serde_json::from_slice(&body)
            .map_err(|_| self.transport.nonsense("a page that is no listing"))?;
        Ok((page, next))
    }
}

/// Where the next page is (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then(|| target.to_owned())
}
