//! What the repositories of a prefix hold. The triggers of the schema count.

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryPrefix};
use sqlx::SqliteConnection;

use super::writer::{Context, Operation};
use crate::Usage;
use crate::encoding::{digest_bytes, json};
use crate::fault::Fault;
use crate::rows::{self, UsageRow};

/// See [`MetadataStore::count_usage`](crate::MetadataStore::count_usage).
pub(super) struct Count(pub(super) Vec<RepositoryPrefix>);

#[async_trait]
impl Operation for Count {
    type Output = ();

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        for prefix in &self.0 {
            let new: Option<i64> = sqlx::query_scalar(
                "INSERT INTO usage_prefixes (prefix) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(prefix.as_str())
            .fetch_optional(&mut *context.connection)
            .await?;
            if let Some(id) = new {
                sqlx::query(COUNT).bind(id).execute(&mut *context.connection).await?;
            }
        }
        Ok(())
    }
}

/// All that the repositories hold already: this once it reads every link of them.
const COUNT: &str = "
    INSERT INTO usage_repositories (repository_id, prefix_id)
    SELECT r.id, p.id FROM usage_prefixes p, repositories r
    WHERE p.id = $1
        AND (p.prefix = '' OR p.prefix = r.name
            OR substr(r.name, 1, length(p.prefix) + 1) = p.prefix || '/');
    UPDATE usage_prefixes SET
        bytes = (
            SELECT coalesce(sum(b.size), 0)
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

pub(super) async fn usage(
    connection: &mut SqliteConnection,
    prefixes: &[RepositoryPrefix],
    blob: Option<&Digest>,
) -> Result<Vec<Usage>, Fault> {
    let names: Vec<&str> = prefixes.iter().map(RepositoryPrefix::as_str).collect();
    let rows: Vec<UsageRow> = sqlx::query_as(USAGE)
        .bind(json(&names)?)
        .bind(blob.map(digest_bytes))
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(rows::usage).collect()
}

pub(super) const USAGE: &str = "
    SELECT p.prefix, p.bytes, p.manifests, p.tags, EXISTS (
        SELECT 1 FROM blobs b
        CROSS JOIN repository_blobs l ON l.blob_id = b.id
        CROSS JOIN usage_repositories q
            ON q.repository_id = l.repository_id AND q.prefix_id = p.id
        WHERE b.digest = $2
    )
    FROM json_each($1) n CROSS JOIN usage_prefixes p ON p.prefix = n.value
    ORDER BY n.key";
