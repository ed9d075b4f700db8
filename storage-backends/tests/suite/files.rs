//! Files by their names, and bytes that are taken out of service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use berth_storage_backends::{BlobStore, Found, StoreError, StoreFiles, is_quarantined, tree};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::fixtures::{bytes, digest, put, put_as, read};

/// Larger than two parts of any store.
const LARGE: usize = 12 << 20;

async fn write(files: &dyn StoreFiles, name: &str, content: &Bytes) {
    let chunks: Vec<_> =
        content.chunks(1 << 20).map(|chunk| Ok(content.slice_ref(chunk))).collect();
    files.write(name, stream::iter(chunks).boxed()).await.unwrap();
}

/// The names and sizes below a folder.
async fn list(files: &dyn StoreFiles, folder: &str) -> BTreeMap<String, u64> {
    let batches: Vec<Vec<Found>> = files.list(folder).try_collect().await.unwrap();
    let entry = |found| match found {
        Found::File(file) => {
            let age = SystemTime::now().duration_since(file.modified).unwrap_or_default();
            assert!(age < Duration::from_secs(3600), "{file:?}");
            (file.name, file.size)
        }
        Found::Unreadable { name, reason } => panic!("{name}: {reason}"),
    };
    batches.into_iter().flatten().map(entry).collect()
}

pub async fn files_are_written_listed_and_deleted(store: Arc<dyn BlobStore>) {
    let Some(files) = store.files() else { return };
    assert_eq!(list(files, "some").await, BTreeMap::new());
    let (small, large) = (bytes(1, 100), bytes(2, LARGE));
    for (name, content) in [("some/a", &small), ("some/deep/er/b", &large), ("other/c", &small)] {
        write(files, name, content).await;
    }
    let expected = [("some/a".to_owned(), 100), ("some/deep/er/b".to_owned(), LARGE as u64)].into();
    assert_eq!(list(files, "some").await, expected);
    let all = list(files, "").await;
    let names = ["some/a", "some/deep/er/b", "other/c"];
    assert!(names.iter().all(|name| all.contains_key(*name)), "{all:?}");
    assert_eq!(files.read("some/a", 100).await.unwrap(), small);
    assert_eq!(read(&files.open("some/deep/er/b").await.unwrap()).await, large);

    write(files, "some/a", &bytes(3, 7)).await;
    assert_eq!(files.read("some/a", 100).await.unwrap(), bytes(3, 7));
    for _ in 0..2 {
        files.delete("some/a").await.unwrap();
        assert!(matches!(files.read("some/a", 100).await, Err(StoreError::NotFound)));
    }
}

pub async fn of_two_new_files_of_one_name_one_is_written(store: Arc<dyn BlobStore>) {
    let Some(files) = store.files() else { return };
    let (one, other) = (bytes(1, 100), bytes(2, 200));
    assert!(files.write_new("some/deep/a", one.clone()).await.unwrap());
    assert!(!files.write_new("some/deep/a", other.clone()).await.unwrap());
    assert_eq!(files.read("some/deep/a", 1000).await.unwrap(), one);
    assert_eq!(list(files, "some").await.len(), 1);
}

pub async fn of_two_writers_at_the_same_time_one_writes(store: Arc<dyn BlobStore>) {
    let Some(files) = store.files() else { return };
    let (one, other) = (bytes(1, 100), bytes(2, 200));
    let (first, second) = tokio::join!(
        files.write_new("some/b", one.clone()),
        files.write_new("some/b", other.clone()),
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first != second, "one of them");
    let written = if first { one } else { other };
    assert_eq!(files.read("some/b", 1000).await.unwrap(), written);
}

pub async fn a_file_without_bytes_is_read(store: Arc<dyn BlobStore>) {
    let Some(files) = store.files() else { return };
    write(files, "some/empty", &Bytes::new()).await;
    assert_eq!(files.read("some/empty", 100).await.unwrap(), Bytes::new());
    assert_eq!(list(files, "some").await, [("some/empty".to_owned(), 0)].into());
}

pub async fn a_file_that_is_too_large_is_refused(store: Arc<dyn BlobStore>) {
    let Some(files) = store.files() else { return };
    write(files, "some/large", &bytes(1, 101)).await;
    assert!(matches!(files.read("some/large", 100).await, Err(StoreError::Io(_))));
}

pub async fn content_that_breaks_off_leaves_the_file_as_it_was(store: Arc<dyn BlobStore>) {
    let Some(files) = store.files() else { return };
    let old = bytes(1, 100);
    write(files, "some/a", &old).await;
    for first in [10, LARGE] {
        let broken = || Err(StoreError::Io(std::io::Error::other("broken")));
        let content = stream::iter([Ok(bytes(2, first)), broken()]).boxed();
        assert!(matches!(files.write("some/a", content).await, Err(StoreError::Io(_))));
        assert_eq!(files.read("some/a", 100).await.unwrap(), old);
        assert_eq!(list(files, "some").await.len(), 1);
    }
}

pub async fn a_blob_in_the_tree_of_another_registry_is_read_where_it_lies(
    store: Arc<dyn BlobStore>,
) {
    let Some(files) = store.files() else { return };
    let content = bytes(1, 5000);
    let digest = digest(&content);
    write(files, &tree::data(&digest), &content).await;
    let location = files.location_in_tree(&digest, 5000);
    assert_eq!(store.stat(&digest, &location).await.unwrap(), 5000);
    assert_eq!(read(&store.open(&digest, &location).await.unwrap()).await, content);
    store.delete(&digest, &location).await.unwrap();
    assert_eq!(list(files, tree::BLOBS).await, BTreeMap::new());
}

pub async fn damaged_bytes_give_way_to_good_ones(store: Arc<dyn BlobStore>) {
    let content = bytes(5, 1000);
    let digest = digest(&content);
    let mut quarantined = Vec::new();
    for _ in 0..2 {
        let location = put_as(&store, &digest, &bytes(6, 1000)).await;
        let open = store.open(&digest, &location).await.unwrap();
        let kept = store.quarantine(&digest, &location, Some(&open)).await.unwrap();
        assert!(is_quarantined(&kept) && !is_quarantined(&location), "{location} {kept}");
        assert!(!quarantined.contains(&kept), "{kept}");
        quarantined.push(kept);
    }
    let location = put(&store, &content).await;
    quarantined.push(store.quarantine(&digest, "", None).await.unwrap());
    for kept in quarantined {
        store.delete(&digest, &kept).await.unwrap();
    }
    assert_eq!(read(&store.open(&digest, &location).await.unwrap()).await, content);
}
