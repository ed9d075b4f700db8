use async_trait::async_trait;
use berth_oci::{RepositoryName, Tag};

use super::engine::{Context, Operation};
use super::session::Session;
use super::{outbox, repositories};
use crate::encoding::page;
use crate::fault::Fault;
use crate::{NewEvent, Page};

pub(super) async fn list(
    session: &mut Session,
    repository: &RepositoryName,
    after: Option<&str>,
    limit: u32,
) -> Result<Option<Page<Tag>>, Fault> {
    // A repository never ceases to exist, so two statements tell no less than one.
    let Some(id) = repositories::find(session, repository.as_str()).await? else {
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
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for Delete {
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let deleted = context
            .session
            .query(DELETE)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .execute(context.session.connection())
            .await?;
        let deleted = deleted.rows_affected() > 0;
        if deleted {
            context.events.extend_from_slice(&self.events);
            let tag = Some(&self.tag);
            outbox::record(context, "delete_tag", &self.repository, None, tag).await?;
        }
        Ok(deleted)
    }
}

pub(super) const DELETE: &str = "
    DELETE FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND name = $2";
