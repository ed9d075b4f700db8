use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use berth_oci::{Digest, LinkChange, UploadId};

use super::layout::Layout;
use super::system::sync_filesystem;
use super::{behind_others, blocking, durable};
use crate::{LinkTree, StoreError};

/// The link files of `registry:2`.
///
/// A batch of changes is written first and synced as a whole by one sync of the filesystem: link
/// files are tiny and many. Where nobody waits for them they are written by a thread that steps back behind
/// those that serve.
#[derive(Clone, Debug)]
pub(super) struct FilesystemLinks {
    layout: Arc<Layout>,
}

impl FilesystemLinks {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        Self { layout }
    }
}

#[async_trait]
impl LinkTree for FilesystemLinks {
    async fn apply(&self, changes: Vec<LinkChange>) -> Result<(), StoreError> {
        let layout = self.layout.clone();
        blocking(move || apply_all(&layout, &changes)).await
    }

    async fn apply_behind_others(&self, changes: Vec<LinkChange>) -> Result<(), StoreError> {
        let layout = self.layout.clone();
        behind_others(move || apply_all(&layout, &changes)).await
    }
}

fn apply_all(layout: &Layout, changes: &[LinkChange]) -> Result<(), StoreError> {
    let scratch = layout.upload(UploadId::random());
    for change in changes {
        apply_one(layout, &scratch, change)?;
    }
    Ok(sync_filesystem(layout.uploads())?)
}

fn apply_one(layout: &Layout, scratch: &Path, change: &LinkChange) -> io::Result<()> {
    match change {
        LinkChange::LinkBlob { repository, digest } => {
            write_link(&layout.layer_link(repository, digest), scratch, digest)
        }
        LinkChange::UnlinkBlob { repository, digest } => durable::remove_with_empty_parents(
            &layout.layer_link(repository, digest),
            &layout.layers(repository),
        ),
        LinkChange::PutManifest { repository, digest, payload } => {
            let data = layout.blob_data(digest);
            if !data.exists() {
                durable::replace(&data, scratch, payload)?;
            }
            // registry:2 takes a folder for a repository only when it finds `_layers` in it.
            fs::create_dir_all(layout.layers(repository))?;
            write_link(&layout.revision_link(repository, digest), scratch, digest)
        }
        LinkChange::DeleteManifest { repository, digest } => durable::remove_with_empty_parents(
            &layout.revision_link(repository, digest),
            &layout.manifests(repository),
        ),
        LinkChange::SetTag { repository, tag, digest } => {
            write_link(&layout.tag_index_link(repository, tag, digest), scratch, digest)?;
            write_link(&layout.tag_current_link(repository, tag), scratch, digest)
        }
        LinkChange::DeleteTag { repository, tag } => {
            durable::remove_tree(&layout.tag(repository, tag))
        }
    }
}

fn write_link(path: &Path, scratch: &Path, digest: &Digest) -> io::Result<()> {
    durable::replace(path, scratch, digest.to_string().as_bytes())
}
