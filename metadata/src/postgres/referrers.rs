use berth_oci::{Digest, RepositoryName};

use super::session::Session;
use crate::encoding::{self, digest_bytes, page, size};
use crate::fault::Fault;
use crate::{Page, Referrer, ReferrerCursor};

pub(super) async fn list(
    session: &mut Session,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: Option<&ReferrerCursor>,
    limit: u32,
) -> Result<Page<Referrer>, Fault> {
    let rows: Vec<Row> = session
        .query_as(LIST)
        .bind(repository.as_str())
        .bind(digest_bytes(subject))
        .bind(artifact_type)
        .bind(after.map(digest_bytes).unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(rows, limit, referrer)
}

/// Digest, media type, size, artifact type, annotations.
type Row = (Vec<u8>, String, i64, Option<String>, Option<String>);

fn referrer(
    (digest, media_type, bytes, artifact_type, annotations): Row,
) -> Result<Referrer, Fault> {
    let annotations = annotations.map(|json| serde_json::from_str(&json)).transpose();
    Ok(Referrer {
        digest: encoding::digest(&digest)?,
        media_type,
        size: size(bytes)?,
        artifact_type,
        annotations: annotations.map_err(|_| Fault::Malformed("set of annotations"))?,
    })
}

/// The length of a payload is known without reading it.
pub(super) const LIST: &str = "
    SELECT digest, media_type, octet_length(payload)::bigint, artifact_type, annotations
    FROM manifests
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
        AND subject = $2 AND digest > $4
        AND ($3::text IS NULL OR artifact_type = $3)
    ORDER BY digest
    LIMIT $5";
