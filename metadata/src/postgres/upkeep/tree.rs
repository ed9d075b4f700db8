use crate::fault::Fault;
use crate::postgres::session::Session;
use crate::rows::{self, TreeBlobRow, TreeManifestRow, TreeTagRow, tree_sql};
use crate::{TreeCursor, TreeEntry};

/// Entries of the kind that the place is in.
pub(super) async fn entries(
    session: &mut Session,
    after: &TreeCursor,
    limit: i64,
) -> Result<Vec<(TreeCursor, TreeEntry)>, Fault> {
    match after {
        TreeCursor::Blob(repository, blob) => {
            let query = session.query_as(tree_sql::BLOBS).bind(repository).bind(blob).bind(limit);
            let rows: Vec<TreeBlobRow> = query.fetch_all(session.connection()).await?;
            rows.into_iter().map(rows::tree_blob).collect()
        }
        TreeCursor::Manifest(id) => {
            let query = session.query_as(tree_sql::MANIFESTS).bind(id).bind(limit);
            let rows: Vec<TreeManifestRow> = query.fetch_all(session.connection()).await?;
            rows.into_iter().map(rows::tree_manifest).collect()
        }
        TreeCursor::Tag(repository, tag) => {
            let query =
                session.query_as(tree_sql::TAGS).bind(repository).bind(tag.as_str()).bind(limit);
            let rows: Vec<TreeTagRow> = query.fetch_all(session.connection()).await?;
            rows.into_iter().map(rows::tree_tag).collect()
        }
    }
}
