use berth_oci::{Digest, LinkChange};
use berth_storage_backends::{LinkTree, StoreError, StoreFiles, tree};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// How many objects are written at the same time.
const WRITES: usize = 32;

/// Writes the link files of a tree.
pub(super) enum Links<'a> {
    /// Of a store that keeps such a tree itself.
    Kept(&'a dyn LinkTree),
    /// Of an object store, as any other objects.
    Objects(&'a dyn StoreFiles),
}

impl Links<'_> {
    /// Makes the tree have them; they are on stable storage when this returns.
    pub(super) async fn apply(&self, changes: Vec<LinkChange>) -> Result<(), StoreError> {
        match self {
            Self::Kept(tree) => tree.apply(changes).await,
            Self::Objects(files) => {
                let objects = stream::iter(changes.into_iter().flat_map(objects));
                let written = objects.map(|(name, content)| async move {
                    files.write(&name, stream::iter([Ok(content)]).boxed()).await
                });
                written.buffer_unordered(WRITES).try_collect().await
            }
        }
    }
}

/// The objects that a change makes; an export takes nothing away.
fn objects(change: LinkChange) -> Vec<(String, Bytes)> {
    let link = |name: String, digest: &Digest| (name, Bytes::from(digest.to_string()));
    match change {
        LinkChange::LinkBlob { repository, digest } => {
            vec![link(tree::layer(&repository, &digest), &digest)]
        }
        LinkChange::PutManifest { repository, digest, payload } => vec![
            (tree::data(&digest), payload),
            link(tree::revision(&repository, &digest), &digest),
        ],
        LinkChange::SetTag { repository, tag, digest } => vec![
            link(tree::tag_history(&repository, &tag, &digest), &digest),
            link(tree::tag(&repository, &tag), &digest),
        ],
        LinkChange::UnlinkBlob { .. }
        | LinkChange::DeleteManifest { .. }
        | LinkChange::DeleteTag { .. } => Vec::new(),
    }
}
