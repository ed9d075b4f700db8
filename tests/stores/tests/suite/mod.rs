//! What a driver asks of a store, by the traits of `object_store`.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

/// The smallest part that S3 takes when it is not the last.
const PART: usize = 5 << 20;

/// Put, get, head, range, list with a start, delete.
pub async fn objects(store: &impl ObjectStore) {
    let names = ["docker/registry/v2/a/data", "docker/registry/v2/b c+d%e/data", "other/x"];
    for name in names {
        store.put(&Path::from(name), PutPayload::from(name.to_owned())).await.unwrap();
    }
    let path = Path::from(names[1]);
    let got = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(got, names[1].as_bytes());
    assert_eq!(store.head(&path).await.unwrap().size, names[1].len() as u64);
    assert_eq!(store.get_range(&path, 7..15).await.unwrap(), "registry".as_bytes());
    let missing = store.get(&Path::from("docker/none")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");

    let prefix = Path::from("docker/registry");
    let listed = listed(store.list(Some(&prefix))).await;
    assert_eq!(listed, names[..2].iter().map(|name| Path::from(*name)).collect::<Vec<_>>());
    let after = Path::from(names[0]);
    let listed = self::listed(store.list_with_offset(Some(&prefix), &after)).await;
    assert_eq!(listed, std::slice::from_ref(&path));
    let folders = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(folders.common_prefixes, [Path::from("docker"), Path::from("other")]);

    store.delete(&path).await.unwrap();
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
}

async fn listed(
    objects: impl futures_util::Stream<Item = object_store::Result<object_store::ObjectMeta>>,
) -> Vec<Path> {
    let mut paths: Vec<Path> =
        objects.map_ok(|object| object.location).try_collect().await.unwrap();
    paths.sort();
    paths
}

/// A multipart upload out of order, and one that is given up.
pub async fn parts(store: &(impl ObjectStore + MultipartStore)) {
    let path = Path::from("parts/whole");
    let id = store.create_multipart(&path).await.unwrap();
    let last = store.put_part(&path, &id, 1, PutPayload::from_static(b"the end")).await.unwrap();
    let first = store.put_part(&path, &id, 0, PutPayload::from(vec![7; PART])).await.unwrap();
    store.complete_multipart(&path, &id, vec![first, last]).await.unwrap();
    assert_eq!(store.head(&path).await.unwrap().size, PART as u64 + 7);
    let end = store.get_range(&path, PART as u64 - 1..PART as u64 + 7).await.unwrap();
    assert_eq!(end, b"\x07the end".as_slice());

    let path = Path::from("parts/abandoned");
    let id = store.create_multipart(&path).await.unwrap();
    store.put_part(&path, &id, 0, PutPayload::from_static(b"some")).await.unwrap();
    store.abort_multipart(&path, &id).await.unwrap();
    assert!(matches!(store.head(&path).await, Err(Error::NotFound { .. })));
}

/// A URL that anybody may read, whole and in part, and nobody after it was changed.
pub async fn presigned(store: &(impl ObjectStore + Signer)) {
    let path = Path::from("signed/object");
    store.put(&path, PutPayload::from_static(b"0123456789")).await.unwrap();
    let get = reqwest::Method::GET;
    let url = store.signed_url(get, &path, Duration::from_secs(60)).await.unwrap();
    let whole = reqwest::get(url.clone()).await.unwrap().error_for_status().unwrap();
    assert_eq!(whole.bytes().await.unwrap(), "0123456789");
    let part = reqwest::Client::new().get(url).header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), "234");
}

/// A put that must not replace.
pub async fn conditions(store: &impl ObjectStore) {
    let path = Path::from("conditional/object");
    let create = || PutMode::Create.into();
    store.put_opts(&path, PutPayload::from_static(b"first"), create()).await.unwrap();
    let second = store.put_opts(&path, PutPayload::from_static(b"second"), create()).await;
    assert!(matches!(second, Err(Error::AlreadyExists { .. })), "{second:?}");
    let kept = store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(kept, b"first".as_slice());
}

/// A client with the wrong credentials gets nothing done.
pub async fn refuses(store: &impl ObjectStore) {
    let path = Path::from("stranger/object");
    let put = store.put(&path, PutPayload::from_static(b"no")).await;
    let refused =
        matches!(put, Err(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }));
    assert!(refused, "{put:?}");
}
