use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::deletion;
use super::removal::{self, Stale, TakenTag, Terms};
use super::repositories::exists_sql;
use super::writer::{Context, Operation};
use crate::encoding::{self, page};
use crate::fault::Fault;
use crate::{NewEvent, Page};

pub(super) async fn list(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    after: Option<&str>,
    limit: u32,
) -> Result<Option<Page<Tag>>, Fault> {
    let rows: Vec<(Option<String>,)> = sqlx::query_as(LIST)
        .bind(repository.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = rows.into_iter().filter_map(|(name,)| name).collect();
    page(names, limit, |name| name.parse().map_err(|_| Fault::Malformed("tag"))).map(Some)
}

/// A repository without tags gives one row without a name, no repository gives none.
pub(super) const LIST: &str = concat!(
    "SELECT t.name
    FROM repositories r
    LEFT JOIN tags t ON t.repository_id = r.id AND t.name > $2
    WHERE r.name = $1 AND ",
    exists_sql!(),
    " ORDER BY t.name
    LIMIT $3"
);

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
        let digest: Option<Vec<u8>> = sqlx::query_scalar(FIND)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .fetch_optional(&mut *context.connection)
            .await?;
        let Some(digest) = digest else { return Ok(false) };
        sqlx::query(DELETE)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .execute(&mut *context.connection)
            .await?;
        context.events.extend_from_slice(&self.events);
        self.record(context, encoding::digest(&digest)?).await?;
        Ok(true)
    }

    fn invalidate(&self, deleted: &bool, cache: &Cache) {
        if *deleted {
            cache.manifest_changed(&self.repository, &Reference::Tag(self.tag.clone()));
        }
    }
}

impl Delete {
    async fn record(&self, context: &mut Context<'_>, digest: Digest) -> Result<(), Fault> {
        let (repository, tag) = (self.repository.clone(), self.tag.clone());
        let named = Reference::Tag(tag.clone());
        let (deletion, until) =
            deletion::begin(context, &repository, Some(&named), self.undelete).await?;
        let terms = Terms { grace: Duration::ZERO, until, followed: false, events: &[] };
        let taken = [TakenTag { repository, tag, digest, deletion }];
        removal::record_tags(context, &taken, &terms, &mut Stale::default()).await?;
        deletion::end(context, &[deletion]).await
    }
}

pub(super) const FIND: &str = "
    SELECT m.digest
    FROM repositories r
    JOIN tags t ON t.repository_id = r.id AND t.name = $2
    JOIN manifests m ON m.id = t.manifest_id
    WHERE r.name = $1";

pub(super) const DELETE: &str = "
    DELETE FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND name = $2";
