use berth_oci::{Digest, RepositoryName};
use sqlx::SqliteConnection;

use crate::encoding::{digest_bytes, page};
use crate::fault::Fault;
use crate::rows::{ReferrerRow, referrer};
use crate::{Page, Referrer, ReferrerCursor};

pub(super) async fn list(
    connection: &mut SqliteConnection,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: Option<&ReferrerCursor>,
    limit: u32,
) -> Result<Page<Referrer>, Fault> {
    let rows: Vec<ReferrerRow> = sqlx::query_as(LIST)
        .bind(repository.as_str())
        .bind(digest_bytes(subject))
        .bind(artifact_type)
        .bind(after.map(digest_bytes).unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    page(rows, limit, referrer)
}

/// The length of a payload stands in its row's head: the payload is not read.
pub(super) const LIST: &str = "
    SELECT m.digest, m.media_type, length(m.payload), m.artifact_type, m.annotations
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.subject = $2 AND m.digest > $4
    WHERE r.name = $1 AND ($3 IS NULL OR m.artifact_type = $3)
    ORDER BY m.digest
    LIMIT $5";
