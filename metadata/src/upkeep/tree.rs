use std::fmt;

use async_trait::async_trait;
use berth_oci::{Digest, RepositoryName, Tag};

use crate::MetadataError;

/// All that a storage tree has link files for, in pages.
#[async_trait]
pub trait TreeStore: fmt::Debug + Send + Sync + 'static {
    /// Some entries behind `after`, about `limit`; none at the end. Each comes after what it needs: blobs,
    /// then manifests, then tags.
    async fn tree_entries(
        &self,
        after: Option<TreeCursor>,
        limit: u32,
    ) -> Result<Vec<(TreeCursor, TreeEntry)>, MetadataError> {
        let mut after = after.unwrap_or(TreeCursor::FIRST);
        loop {
            let entries = self.tree_entries_of_kind(&after, limit).await?;
            match after.next_kind() {
                Some(next) if entries.is_empty() => after = next,
                _ => return Ok(entries),
            }
        }
    }

    /// At most `limit` entries behind `after`, of its kind alone.
    async fn tree_entries_of_kind(
        &self,
        after: &TreeCursor,
        limit: u32,
    ) -> Result<Vec<(TreeCursor, TreeEntry)>, MetadataError>;
}

/// Something that a storage tree has a link file for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeEntry {
    /// A blob that a repository links.
    Blob(RepositoryName, Digest),
    /// A manifest of a repository.
    Manifest(RepositoryName, Digest),
    /// A tag, and what it points to.
    Tag(RepositoryName, Tag, Digest),
}

/// The place of an entry in the order of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeCursor {
    /// Among the links, by repository and blob.
    Blob(i64, i64),
    /// Among the manifests.
    Manifest(i64),
    /// Among the tags, by repository.
    Tag(i64, String),
}

impl TreeCursor {
    /// Where the entries begin.
    const FIRST: Self = Self::Blob(0, 0);

    /// Where those of the next kind begin, if there is one.
    fn next_kind(&self) -> Option<Self> {
        match self {
            Self::Blob(..) => Some(Self::Manifest(0)),
            Self::Manifest(_) => Some(Self::Tag(0, String::new())),
            Self::Tag(..) => None,
        }
    }
}
