use berth_oci::RepositoryName;

use super::session::Session;
use crate::Page;
use crate::encoding::page;
use crate::fault::Fault;

pub(super) async fn list(
    session: &mut Session,
    after: Option<&str>,
    limit: u32,
) -> Result<Page<RepositoryName>, Fault> {
    let rows: Vec<(String,)> = session
        .query_as(LIST)
        .bind(after.unwrap_or_default())
        .bind(i64::from(limit) + 1)
        .fetch_all(session.connection())
        .await?;
    page(rows, limit, |(name,)| name.parse().map_err(|_| Fault::Malformed("repository name")))
}

/// Whether the repository `r` exists: it has a manifest, or a link, unless it was deleted whole: then
/// its links are those of what can be had back. The limits have the server look up one repository after
/// the other, by index.
macro_rules! exists_sql {
    () => {
        "(
            (SELECT true FROM manifests m WHERE m.repository_id = r.id LIMIT 1) IS NOT NULL
            OR (SELECT true FROM repository_blobs l WHERE l.repository_id = r.id LIMIT 1) IS NOT NULL
                AND (
                    SELECT true FROM deleted_repositories d WHERE d.repository_id = r.id LIMIT 1
                ) IS NULL
        )"
    };
}

pub(super) const LIST: &str = concat!(
    "SELECT r.name FROM repositories r WHERE r.name > $1 AND ",
    exists_sql!(),
    " ORDER BY r.name LIMIT $2"
);

/// The id of a repository that exists.
pub(super) async fn existing(session: &mut Session, name: &str) -> Result<Option<i64>, Fault> {
    let id = session.query_scalar(EXISTING).bind(name).fetch_optional(session.connection()).await?;
    Ok(id)
}

pub(super) const EXISTING: &str =
    concat!("SELECT r.id FROM repositories r WHERE r.name = $1 AND ", exists_sql!());

pub(super) async fn exists(session: &mut Session, name: &RepositoryName) -> Result<bool, Fault> {
    Ok(existing(session, name.as_str()).await?.is_some())
}

/// The id of a repository, whether it exists or has only its name left.
pub(super) async fn find(session: &mut Session, name: &str) -> Result<Option<i64>, Fault> {
    let id = session.query_scalar(FIND).bind(name).fetch_optional(session.connection()).await?;
    Ok(id)
}

pub(super) const FIND: &str = "SELECT id FROM repositories WHERE name = $1";

/// The id of a repository, which is made when there is none of its name.
pub(super) async fn make(session: &mut Session, name: &str) -> Result<i64, Fault> {
    // Looked for first: an insertion that finds the name there still takes a number.
    loop {
        if let Some(id) = find(session, name).await? {
            return Ok(id);
        }
        let made =
            session.query_scalar(MAKE).bind(name).fetch_optional(session.connection()).await?;
        if let Some(id) = made {
            return Ok(id);
        }
        // Somebody else has made it since.
    }
}

const MAKE: &str = "
    INSERT INTO repositories (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING id";
