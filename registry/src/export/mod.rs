//! Writing what the registry has for others: `tree` as `registry:2` keeps it, with the `links` of a bucket;
//! `layout` as an OCI image layout.

mod layout;
mod links;
mod tree;

use berth_metadata::BlobRecord;
use berth_oci::{Digest, Hasher, RepositoryName};
use berth_storage_backends::{OpenBlob, StoreError};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::control::Told;
use crate::error::UpkeepError;
use crate::{Place, Registry, RegistryError};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Blobs that were copied; those that were there already do not count.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs that could not be copied, because they are damaged or gone.
    pub left: u64,
}

impl Registry {
    pub(crate) async fn export_as_asked(
        &self,
        to: &Place,
        layout_of: Option<&RepositoryName>,
        tell: &mpsc::Sender<Told>,
    ) -> Result<Exported, RegistryError> {
        match (layout_of, to) {
            (Some(repository), Place::Folder(folder)) => {
                self.export_layout(repository, folder, tell).await
            }
            (Some(_), Place::Storage(_)) => Err(UpkeepError::LayoutPlace.into()),
            (None, to) => self.export_tree(to, tell).await,
        }
    }

    /// The bytes of a blob, which break off with an error if they are not what they should be; `None` if it
    /// is known that they are not.
    async fn verified(
        &self,
        blob: &BlobRecord,
    ) -> Result<Option<BoxStream<'static, Result<Bytes, StoreError>>>, RegistryError> {
        match self.open_stored(blob).await {
            Ok(open) => Ok(Some(verified(open, blob.digest))),
            Err(RegistryError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The bytes, and an error behind the last of them if the whole is not what its digest says.
fn verified(open: OpenBlob, digest: Digest) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let hasher = Hasher::new(digest.algorithm());
    let state = Some((open.into_stream(), hasher));
    let next = move |state| async move {
        let (mut bytes, mut hasher): (BoxStream<'static, _>, Hasher) = state?;
        match bytes.next().await {
            Some(Ok(chunk)) => {
                let chunk: Bytes = chunk;
                hasher.update(&chunk);
                Some((Ok(chunk), Some((bytes, hasher))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if hasher.finish() == digest => None,
            None => {
                let wrong = std::io::Error::other("the bytes are not what their digest says");
                Some((Err(StoreError::Io(wrong)), None))
            }
        }
    };
    stream::unfold(state, next).boxed()
}
