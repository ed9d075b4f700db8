use async_trait::async_trait;
use berth_oci::{Reference, RepositoryName, Tag};
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::writer::{Context, Operation};
use crate::encoding::page;
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
pub(super) const LIST: &str = "
    SELECT t.name
    FROM repositories r
    LEFT JOIN tags t ON t.repository_id = r.id AND t.name > $2
    WHERE r.name = $1
    ORDER BY t.name
    LIMIT $3";

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
        let deleted = sqlx::query(DELETE)
            .bind(self.repository.as_str())
            .bind(self.tag.as_str())
            .execute(&mut *context.connection)
            .await?;
        let deleted = deleted.rows_affected() > 0;
        if deleted {
            context.events.extend_from_slice(&self.events);
        }
        if deleted && context.record_links {
            sqlx::query("INSERT INTO outbox (kind, repository, tag) VALUES ('delete_tag', $1, $2)")
                .bind(self.repository.as_str())
                .bind(self.tag.as_str())
                .execute(&mut *context.connection)
                .await?;
        }
        Ok(deleted)
    }

    fn invalidate(&self, deleted: &bool, cache: &Cache) {
        if *deleted {
            cache.manifest_changed(&self.repository, &Reference::Tag(self.tag.clone()));
        }
    }
}

pub(super) const DELETE: &str = "
    DELETE FROM tags
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1) AND name = $2";
