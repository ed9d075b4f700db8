//! The suites over the drivers of this build.
#![allow(clippy::expect_used, clippy::unwrap_used, unreachable_pub)]

mod object_stores;
mod suite;

use std::path::Path;
use std::sync::Arc;

use berth_storage_backends::{BlobStore, FilesystemStore, InMemoryStore};
use suite::fixtures::Opened;

fn open_files() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    Opened { store: files_in(directory.path()), directory: Some(directory) }
}

fn files_in(directory: &Path) -> Arc<dyn BlobStore> {
    Arc::new(FilesystemStore::open(directory).unwrap())
}

fn open_memory() -> Opened {
    Opened { store: Arc::new(InMemoryStore::new()), directory: None }
}

blob_store_suite!(filesystem, open_files, local);
blob_store_suite!(inmemory, open_memory, local);
link_tree_suite!(filesystem_links, open_files);
durable_store_suite!(filesystem_reopened, files_in);
