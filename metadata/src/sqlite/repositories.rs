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

pub(super) const LIST: &str =
    "SELECT name FROM repositories WHERE name > $1 ORDER BY name LIMIT $2";

pub(super) async fn exists(
    connection: &mut SqliteConnection,
    name: &RepositoryName,
) -> Result<bool, Fault> {
    let row: Option<(i64,)> =
        sqlx::query_as(FIND).bind(name.as_str()).fetch_optional(connection).await?;
    Ok(row.is_some())
}

pub(super) const FIND: &str = "SELECT id FROM repositories WHERE name = $1";
