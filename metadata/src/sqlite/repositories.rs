use berth_oci::RepositoryName;
use sqlx::SqliteConnection;

use crate::Page;
use crate::encoding::page;
use crate::fault::Fault;

pub(super) async fn list(
    connection: &mut SqliteConnection,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<RepositoryName>, Fault> {
    let rows: Vec<(String,)> = sqlx::query_as(LIST)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await?;
    page(rows, limit, |(name,)| name.parse().map_err(|_| Fault::Malformed("repository name")))
}

/// Whether the repository `r` exists: it has a manifest, or a link, unless it was deleted whole: then
/// its links are those of what can be had back.
macro_rules! exists_sql {
    () => {
        "(
            EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id)
            OR EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository_id = r.id)
                AND NOT EXISTS (SELECT 1 FROM deleted_repositories d WHERE d.repository_id = r.id)
        )"
    };
}
pub(super) use exists_sql;

pub(super) const LIST: &str = concat!(
    "SELECT r.name FROM repositories r WHERE r.name > $1 AND ",
    exists_sql!(),
    " ORDER BY r.name LIMIT $2"
);

pub(super) async fn exists(
    connection: &mut SqliteConnection,
    name: &RepositoryName,
) -> Result<bool, Fault> {
    let row: Option<(i64,)> =
        sqlx::query_as(FIND).bind(name.as_str()).fetch_optional(connection).await?;
    Ok(row.is_some())
}

pub(super) const FIND: &str =
    concat!("SELECT r.id FROM repositories r WHERE r.name = $1 AND ", exists_sql!());
