use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag};
use serde_json::json;
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::writer::{Context, Operation};
use super::{deletion, tags};
use crate::encoding::{
    digest, digest_bytes, digest_hex, digest_of_hex, duration, from_json, micros, page,
};
use crate::expiry::{self, TagUseRow, stands_alone, untagged_since};
use crate::fault::Fault;
use crate::{ExpiredManifests, NewEvent, Page, ProtectedTags, TagUse, UntaggedLook};

pub(super) async fn tag_uses(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<TagUse>, Fault> {
    let rows: String = sqlx::query_scalar(TAG_USES)
        .bind(repository.as_str())
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_one(connection)
        .await?;
    let mut rows: Vec<TagUseRow> = from_json(&rows)?;
    // What an aggregate is made of has no order that anybody promises.
    rows.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    page(rows, limit, expiry::tag_use)
}

pub(super) const TAG_USES: &str = "
    SELECT json_group_array(json_array(name, updated_at, pulled_at))
    FROM (
        SELECT t.name, t.updated_at, coalesce(
            (SELECT x.pulled_at FROM manifest_times x WHERE x.manifest_id = t.manifest_id), 0
        ) AS pulled_at
        FROM repositories r
        JOIN tags t ON t.repository_id = r.id AND t.name > $2
        WHERE r.name = $1
        ORDER BY t.name
        LIMIT $3
    ) AS due";

/// See [`MetadataStore::expire_tags`](crate::MetadataStore::expire_tags).
pub(super) struct ExpireTags {
    pub(super) repository: RepositoryName,
    pub(super) tags: Vec<TagUse>,
    pub(super) undelete: Duration,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for ExpireTags {
    type Output = Vec<Tag>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Vec<Tag>, Fault> {
        let mut deleted = Vec::new();
        for tag in &self.tags {
            let (pushed, pulled) = expiry::seen(tag);
            let is_as_seen: bool = sqlx::query_scalar(IS_AS_SEEN)
                .bind(self.repository.as_str())
                .bind(tag.tag.as_str())
                .bind(pushed)
                .bind(pulled)
                .fetch_one(&mut *context.connection)
                .await?;
            if !is_as_seen {
                continue;
            }
            let delete = tags::Delete {
                repository: self.repository.clone(),
                tag: tag.tag.clone(),
                undelete: self.undelete,
                events: self.events_of(&tag.tag),
            };
            if delete.apply(context).await? {
                deleted.push(tag.tag.clone());
            }
        }
        Ok(deleted)
    }

    fn invalidate(&self, deleted: &Vec<Tag>, cache: &Cache) {
        for tag in deleted {
            cache.manifest_changed(&self.repository, &Reference::Tag(tag.clone()));
        }
    }
}

pub(super) const IS_AS_SEEN: &str = "
    SELECT EXISTS (
        SELECT 1
        FROM repositories r
        JOIN tags t ON t.repository_id = r.id AND t.name = $2
        WHERE r.name = $1 AND t.updated_at = $3 AND NOT EXISTS (
            SELECT 1 FROM manifest_times x WHERE x.manifest_id = t.manifest_id AND x.pulled_at > $4
        )
    )";

/// What [`ExpireUntagged`] would delete.
pub(super) async fn untagged(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    wanted: &UntaggedLook,
) -> Result<ExpiredManifests, Fault> {
    look(connection, repository, wanted, micros(SystemTime::now())).await
}

async fn look(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    wanted: &UntaggedLook,
    now: i64,
) -> Result<ExpiredManifests, Fault> {
    let (looked, last, over): (i64, Option<Vec<u8>>, String) = sqlx::query_as(UNTAGGED)
        .bind(repository.as_str())
        .bind(wanted.after.as_ref().map(digest_bytes).unwrap_or_default())
        .bind(i64::from(wanted.limit))
        .bind(now.saturating_sub(duration(wanted.age)))
        .fetch_one(connection)
        .await?;
    let over: Vec<String> = from_json(&over)?;
    let mut manifests: Vec<Digest> =
        over.iter().map(|hex| digest_of_hex(hex)).collect::<Result<_, _>>()?;
    manifests.sort_unstable();
    let next = last.filter(|_| looked == i64::from(wanted.limit));
    Ok(ExpiredManifests { manifests, next: next.as_deref().map(digest).transpose()? })
}

impl ExpireTags {
    fn events_of(&self, tag: &Tag) -> Vec<NewEvent> {
        let event = |event: &NewEvent| event.of_deleted_tag(&self.repository, tag);
        self.events.iter().map(event).collect()
    }
}

/// See [`MetadataStore::expire_untagged`](crate::MetadataStore::expire_untagged).
pub(super) struct ExpireUntagged {
    pub(super) repository: RepositoryName,
    pub(super) look: UntaggedLook,
    pub(super) events: Vec<NewEvent>,
}

#[async_trait]
impl Operation for ExpireUntagged {
    type Output = ExpiredManifests;

    async fn apply(&self, context: &mut Context<'_>) -> Result<ExpiredManifests, Fault> {
        let page = look(context.connection, &self.repository, &self.look, context.now).await?;
        for digest in &page.manifests {
            let delete = deletion::Delete {
                repository: self.repository.clone(),
                digest: *digest,
                keep: self.look.keep,
                events: self.events.clone(),
                protected: ProtectedTags::default(),
            };
            delete.apply(context).await?;
        }
        Ok(page)
    }

    fn invalidate(&self, page: &ExpiredManifests, cache: &Cache) {
        for digest in &page.manifests {
            cache.manifest_changed(&self.repository, &Reference::Digest(*digest));
        }
    }
}

/// How many were looked at, the last of them, and those whose time is over, in one row.
pub(super) const UNTAGGED: &str = concat!(
    "SELECT count(*), max(digest), json_group_array(lower(hex(digest))) FILTER (WHERE is_over)
    FROM (
        SELECT m.digest, ",
    stands_alone!(),
    " AND ",
    untagged_since!("max"),
    " <= $4 AS is_over
        FROM repositories r
        JOIN manifests m ON m.repository_id = r.id AND m.digest > $2
        WHERE r.name = $1
        ORDER BY m.digest
        LIMIT $3
    ) AS due"
);

/// See [`MetadataStore::record_pulls`](crate::MetadataStore::record_pulls).
pub(super) struct RecordPulls(pub(super) Vec<(RepositoryName, Digest)>);

#[async_trait]
impl Operation for RecordPulls {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        let rows = self.0.iter().map(|(name, digest)| json!([name, digest_hex(digest)]));
        let rows = serde_json::Value::from_iter(rows).to_string();
        sqlx::query(RECORD_PULLS)
            .bind(rows)
            .bind(context.now)
            .execute(&mut *context.connection)
            .await?;
        Ok(())
    }
}

pub(super) const RECORD_PULLS: &str = "
    INSERT INTO manifest_times (manifest_id, pulled_at)
    SELECT m.id, $2
    FROM json_each($1) q
    CROSS JOIN repositories r ON r.name = q.value ->> 0
    CROSS JOIN manifests m ON m.repository_id = r.id AND m.digest = unhex(q.value ->> 1)
    WHERE true
    ON CONFLICT (manifest_id) DO UPDATE SET pulled_at = excluded.pulled_at;
    UPDATE cached_manifests SET pulled_at = $2 WHERE manifest_id IN (
        SELECT m.id
        FROM json_each($1) q
        CROSS JOIN repositories r ON r.name = q.value ->> 0
        CROSS JOIN manifests m ON m.repository_id = r.id AND m.digest = unhex(q.value ->> 1)
    )";
