use berth_oci::{Digest, RepositoryName};

use super::session::Session;
use crate::encoding::{digest_bytes, page};
use crate::fault::Fault;
use crate::rows::{ReferrerRow, referrer};
use crate::{Page, Referrer, ReferrerCursor};

pub(super) async fn list(
    session: &mut Session,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    after: Option<&ReferrerCursor>,
    limit: u32,
) -> Result<Page<Referrer>, Fault> {
    let rows: Vec<ReferrerRow> = session
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

/// The length of a payload is known without reading it.
pub(super) const LIST: &str = "
    SELECT digest, media_type, octet_length(payload)::bigint, artifact_type, annotations
    FROM manifests
    WHERE repository_id = (SELECT id FROM repositories WHERE name = $1)
        AND subject = $2 AND digest > $4
        AND ($3::text IS NULL OR artifact_type = $3)
    ORDER BY digest
    LIMIT $5";
