//! What the repositories of a prefix hold. The triggers of the schema record what changes.

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryPrefix};

use super::engine::{Context, Operation};
use super::session::Session;
use crate::Usage;
use crate::encoding::digest_bytes;
use crate::fault::Fault;
use crate::rows::{self, UsageRow};

/// How many changes stand beside the numbers at most, about: each question adds them up.
const CHANGES: i64 = 500;

/// How many of them are taken into the numbers at a time.
const FOLDED: i64 = 10_000;

/// See [`MetadataStore::count_usage`](crate::MetadataStore::count_usage).
pub(super) struct Count(pub(super) Vec<RepositoryPrefix>);

#[async_trait]
impl Operation for Count {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        for prefix in &self.0 {
            count(context.session, prefix).await?;
        }
        Ok(())
    }
}

/// Nobody writes while all is counted that the repositories hold already.
async fn count(session: &mut Session, prefix: &RepositoryPrefix) -> Result<(), Fault> {
    let known: Option<i64> = session
        .query_scalar("SELECT id FROM usage_prefixes WHERE prefix = $1")
        .bind(prefix.as_str())
        .fetch_optional(session.connection())
        .await?;
    if known.is_some() {
        return Ok(());
    }
    session
        .execute(
            "LOCK TABLE repositories, blobs, repository_blobs, manifests, tags
            IN SHARE ROW EXCLUSIVE MODE",
        )
        .await?;
    let new: Option<i64> = session
        .query_scalar(
            "INSERT INTO usage_prefixes (prefix) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id",
        )
        .bind(prefix.as_str())
        .fetch_optional(session.connection())
        .await?;
    // Somebody else may have counted while this waited.
    let Some(id) = new else { return Ok(()) };
    for statement in [COVER, COUNT] {
        session.query(statement).bind(id).execute(session.connection()).await?;
    }
    Ok(())
}

const COVER: &str = "
    INSERT INTO usage_repositories (repository_id, prefix_id)
    SELECT r.id, p.id FROM usage_prefixes p, repositories r
    WHERE p.id = $1
        AND (p.prefix = '' OR p.prefix = r.name
            OR left(r.name, length(p.prefix) + 1) = p.prefix || '/')";

const COUNT: &str = "
    UPDATE usage_prefixes SET
        bytes = (
            SELECT coalesce(sum(b.size), 0)::bigint
            FROM (
                SELECT DISTINCT l.blob_id FROM usage_repositories q
                JOIN repository_blobs l ON l.repository_id = q.repository_id
                WHERE q.prefix_id = $1
            ) d
            JOIN blobs b ON b.id = d.blob_id
        ),
        manifests = (
            SELECT count(*) FROM usage_repositories q
            JOIN manifests m ON m.repository_id = q.repository_id WHERE q.prefix_id = $1
        ),
        tags = (
            SELECT count(*) FROM usage_repositories q
            JOIN tags t ON t.repository_id = q.repository_id WHERE q.prefix_id = $1
        )
    WHERE id = $1";

/// What they hold, and whether so many changes stand beside the numbers that they should be folded.
pub(super) async fn usage(
    session: &mut Session,
    prefixes: &[RepositoryPrefix],
    blob: Option<&Digest>,
) -> Result<(Vec<Usage>, bool), Fault> {
    let names: Vec<&str> = prefixes.iter().map(RepositoryPrefix::as_str).collect();
    let rows: Vec<(UsageRow, i64)> = session
        .query_as::<(String, i64, i64, i64, bool, i64)>(USAGE)
        .bind(names)
        .bind(blob.map(digest_bytes))
        .fetch_all(session.connection())
        .await?
        .into_iter()
        .map(|(prefix, bytes, manifests, tags, has, changes)| {
            ((prefix, bytes, manifests, tags, has), changes)
        })
        .collect();
    let is_long = rows.iter().any(|(_, changes)| *changes > CHANGES);
    let usage = rows.into_iter().map(|(row, _)| rows::usage(row)).collect::<Result<_, _>>()?;
    Ok((usage, is_long))
}

pub(super) const USAGE: &str = "
    SELECT p.prefix, p.bytes + c.bytes, p.manifests + c.manifests, p.tags + c.tags, EXISTS (
            SELECT 1 FROM blobs b
            JOIN repository_blobs l ON l.blob_id = b.id
            JOIN usage_repositories q
                ON q.repository_id = l.repository_id AND q.prefix_id = p.id
            WHERE b.digest = $2
        ), c.count
    FROM unnest($1::text[]) WITH ORDINALITY AS n (prefix, place)
    JOIN usage_prefixes p ON p.prefix = n.prefix
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(u.bytes), 0)::bigint AS bytes,
            coalesce(sum(u.manifests), 0)::bigint AS manifests,
            coalesce(sum(u.tags), 0)::bigint AS tags,
            count(*) AS count
        FROM usage_changes u WHERE u.prefix_id = p.id
    ) c
    ORDER BY n.place";

/// Takes changes into the numbers. Those that somebody else is at are left to him.
pub(super) struct Fold;

#[async_trait]
impl Operation for Fold {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context.session.query(FOLD).bind(FOLDED).execute(context.session.connection()).await?;
        Ok(())
    }
}

const FOLD: &str = "
    WITH taken AS (
        DELETE FROM usage_changes
        WHERE id IN (SELECT id FROM usage_changes ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
        RETURNING prefix_id, bytes, manifests, tags
    ), sums AS (
        SELECT prefix_id, sum(bytes)::bigint AS bytes, sum(manifests)::bigint AS manifests,
            sum(tags)::bigint AS tags
        FROM taken GROUP BY prefix_id
    )
    UPDATE usage_prefixes p SET
        bytes = p.bytes + s.bytes, manifests = p.manifests + s.manifests, tags = p.tags + s.tags
    FROM sums s WHERE s.prefix_id = p.id";
