use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};

use super::engine::{Context, Operation};
use super::removal::{self, TakenTag, Terms};
use super::session::Session;
use super::{deletion, repositories};
use crate::encoding::{self, page};
use crate::fault::Fault;
use crate::{NewEvent, Page};

pub(super) async fn list(
    session: &mut Session,
    repository: &RepositoryName,
    after: Option<&str>,
    limit: u32,
) -> Result<Option<Page<Tag>>, Fault> {
    // One that ceases to exist between the two statements has no tags any longer.
    let Some(id) = repositories::existing(session, repository.as_str()).await? else {
        return Ok(None);
    };
    let names: Vec<String> = session
        .query_scalar(LIST)
        .bind(id)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(names, limit, |name| name.parse().map_err(|_| Fault::Malformed("tag"))).map(Some)
}

pub(super) const LIST: &str =
    "SELECT name FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT $3";

/// See [`MetadataStore::delete_tag`](crate::MetadataStore::delete_tag).
pub(super) struct Delete {
    pub(super) repository: RepositoryName,
    pub(super) tag: Tag,
    pub(super) undelete: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for Delete {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let digest: Option<Vec<u8>> = context
            .session
            .query_scalar(DELETE)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .fetch_optional(context.session.connection())
            .await?;
        let Some(digest) = digest else { return Ok(false) };
        context.events.extend_from_slice(&self.events);
        self.record(context, encoding::digest(&digest)?).await?;
        Ok(true)
    }
}

impl Delete {
    async fn record(&self, context: &mut Context<'_>, digest: Digest) -> Result<(), Fault> {
        let (repository, tag) = (self.repository.clone(), self.tag.clone());
        let recorded = !self.undelete.is_zero();
        let mut terms =
            Terms { grace: Duration::ZERO, until: 0, recorded, followed: false, events: &[] };
        let mut deletion = 0;
        if recorded {
            let named = Reference::Tag(tag.clone());
            (deletion, terms.until) =
                deletion::begin(context.session, &repository, Some(&named), self.undelete).await?;
        }
        let taken = [TakenTag { repository, tag, digest, deletion }];
        removal::record_tags(context, &taken, &terms).await?;
        if recorded {
            deletion::end(context.session, &[deletion]).await?;
        }
        Ok(())
    }
}

pub(super) const DELETE: &str = "
    DELETE FROM tags t USING manifests m
    WHERE t.repository_id = (SELECT id FROM repositories WHERE name = $1) AND t.name = $2
        AND m.id = t.manifest_id
    RETURNING m.digest";
