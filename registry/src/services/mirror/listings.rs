use std::collections::{BTreeMap, BTreeSet};

use berth_metadata::{Page, Referrer};
use berth_mirror::Via;
use berth_oci::{Digest, RepositoryName, Tag};
use tracing::debug;

use crate::{Registry, RegistryError};

impl Registry {
    /// A page of the repository's tags, those of its upstream among them. When that cannot be asked they
    /// are those that are here.
    pub(crate) async fn pull_tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: u32,
        via: &Via,
    ) -> Result<Page<Tag>, RegistryError> {
        let here = self.tags(repository, after, limit).await;
        let Some(source) = self.mirror.source(repository) else { return here };
        let Ok(source) = source.behind(via) else { return here };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (there, more_there) = match source.tags(after, limit).await {
            Ok(page) => page,
            Err(error) => {
                debug!(%repository, %error, "only the tags that are here are listed");
                return here;
            }
        };
        let (here, more_here) = match here {
            Ok(page) => (page.entries, page.more),
            Err(RegistryError::NameUnknown(_)) => (Vec::new(), false),
            Err(error) => return Err(error),
        };
        let names = here.iter().chain(&there).map(|tag| tag.as_str().to_owned());
        let names: BTreeSet<String> = names.collect();
        let more = more_here || more_there || names.len() > limit;
        let tags = names.into_iter().take(limit).filter_map(|name| name.parse().ok());
        Ok(Page { entries: tags.collect(), more })
    }

    /// A page of what is attached to `subject`. Where one page has all that is here, it has what an
    /// upstream lists, too.
    pub(crate) async fn pull_referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&Digest>,
        via: &Via,
    ) -> Result<Page<Referrer>, RegistryError> {
        let here = self.referrers(repository, subject, artifact_type, after).await?;
        let is_all = after.is_none() && !here.more;
        let Some(source) = self.mirror.source(repository).filter(|_| is_all) else {
            return Ok(here);
        };
        let Ok(source) = source.behind(via) else { return Ok(here) };
        let there = match source.referrers(subject).await {
            Ok(there) => there,
            Err(error) => {
                debug!(%repository, %subject, %error, "only the referrers that are here are listed");
                return Ok(here);
            }
        };
        let there = there.into_iter().map(|there| Referrer {
            digest: there.digest,
            media_type: there.media_type,
            size: there.size,
            artifact_type: there.artifact_type,
            annotations: there.annotations,
        });
        let is_wanted = |referrer: &Referrer| {
            artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted))
        };
        let all = there.filter(is_wanted).chain(here.entries);
        let all: BTreeMap<String, Referrer> =
            all.map(|referrer| (referrer.digest.to_string(), referrer)).collect();
        Ok(Page { entries: all.into_values().collect(), more: here.more })
    }
}
