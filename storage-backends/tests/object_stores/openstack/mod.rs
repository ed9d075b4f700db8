//! What only Swift has: segments and temporary URLs here, logins and what clusters say of themselves
//! beside it.

mod clusters;
mod logins;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use berth_storage_backends::{BlobStore, OpenError, StaleUpload, StoreError, open_remote};
use berth_test_stores::{Swift, SwiftUser};
use http::{Method, StatusCode};

use super::{MINUTE, SWIFT, storage};
use crate::suite::fixtures::{begin, bytes, digest, is_lost, put, read, stale};

/// The smallest segment of all, and so of the stores here.
const SEGMENT: usize = 1 << 20;

/// Opens the container of a server, by password unless the settings say otherwise. A setting of `-`
/// is not set at all.
pub fn open(server: &Swift, settings: &[(&str, &str)]) -> Arc<dyn BlobStore> {
    try_open(&server.user(), server.container(), settings).unwrap()
}

fn try_open(
    user: &SwiftUser,
    container: &str,
    settings: &[(&str, &str)],
) -> Result<Arc<dyn BlobStore>, OpenError> {
    let mut all = vec![
        ("authurl", &*user.auth_url),
        ("username", &user.user),
        ("password", &user.password),
        ("domain", &user.domain),
        ("tenant", &user.project),
        ("container", container),
    ];
    all.retain(|(key, _)| settings.iter().all(|(other, _)| other != key));
    all.extend(settings.iter().filter(|(_, value)| *value != "-"));
    let storage = storage("swift", &all);
    open_remote(storage.remote().unwrap())
}

/// With a container of its own that does not exist yet, and segments as small as can be.
fn open_alone(server: &Swift, container: &str) -> Arc<dyn BlobStore> {
    open(server, &[("container", container), ("chunksize", "1MiB")])
}

/// A request by Swift's own protocol; the path is below the account.
async fn ask(server: &Swift, method: Method, path: &str) -> reqwest::Response {
    let url = format!("{}/{path}", server.endpoint());
    let request = reqwest::Client::new().request(method, url).header("content-length", "0");
    request.header("x-auth-token", server.token()).send().await.unwrap()
}

/// The names of all objects in a container.
async fn names(server: &Swift, container: &str) -> Vec<String> {
    let listed = ask(server, Method::GET, container).await.text().await.unwrap();
    listed.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_missing_container_is_made_and_nothing_is_left_in_it() {
    let store = open_alone(&SWIFT, "made here");
    let container = "made%20here";
    assert_eq!(ask(&SWIFT, Method::HEAD, container).await.status(), StatusCode::NOT_FOUND);
    store.check().await.unwrap();
    assert_eq!(ask(&SWIFT, Method::HEAD, container).await.status(), StatusCode::NO_CONTENT);
    let found = store.probe(true).await.unwrap();
    assert!(found.contains(&"uploads that nobody ends are found".to_owned()), "{found:?}");
    assert_eq!(names(&SWIFT, container).await, [""; 0]);
}

/// Whether an upload that stands still may be the blob at a location.
fn may_be_at(upload: &StaleUpload, location: &str) -> bool {
    upload.location_prefix.as_ref().is_some_and(|prefix| location.starts_with(prefix))
}

#[tokio::test]
async fn a_deleted_blob_leaves_none_of_its_segments() {
    let store = open_alone(&SWIFT, "deleted");
    let content = bytes(2, 5 * SEGMENT + 1);
    let location = put(&store, &content).await;
    let found = stale(&store, SystemTime::now() + MINUTE).await;
    assert!(found.len() == 1 && may_be_at(&found[0], &location), "{found:?}");
    let there = names(&SWIFT, "deleted").await;
    assert_eq!(there.len(), 6, "the blob and its segments alone: {there:?}");
    assert_eq!(store.stat(&digest(&content), &location).await.unwrap(), content.len() as u64);
    // As a deletion leaves it that broke off.
    let segment = there.iter().find(|name| name.contains("berth/segments/")).unwrap();
    assert_eq!(ask(&SWIFT, Method::DELETE, &format!("deleted/{segment}")).await.status(), 204);
    store.delete(&digest(&content), &location).await.unwrap();
    store.delete(&digest(&content), &location).await.unwrap();
    assert_eq!(names(&SWIFT, "deleted").await, [""; 0]);
}

#[tokio::test]
async fn segments_that_a_blob_is_not_made_of_go_when_it_is_complete() {
    let store = open_alone(&SWIFT, "rewritten");
    let content = bytes(3, 4 * SEGMENT);
    let (_, mut writer) = begin(&store).await;
    writer.write(vec![content.slice(..2 * SEGMENT)]).await.unwrap();
    let handle = writer.sync().await.unwrap();
    // A try that nobody records.
    writer.write(vec![bytes(4, 4 * SEGMENT)]).await.unwrap();
    writer.sync().await.unwrap();
    drop(writer);
    let before = names(&SWIFT, "rewritten").await.len();
    let mut writer = store.continue_upload(&handle, 2 * SEGMENT as u64).await.unwrap();
    writer.write(vec![content.slice(2 * SEGMENT..)]).await.unwrap();
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    assert!(names(&SWIFT, "rewritten").await.len() < before);
    let blob = store.open(&digest(&content), &location).await.unwrap();
    assert_eq!(read(&blob).await, content);
    store.delete(&digest(&content), &location).await.unwrap();
    assert_eq!(names(&SWIFT, "rewritten").await, [""; 0]);
}

#[tokio::test]
async fn an_upload_given_up_leaves_none_of_its_segments() {
    let store = open_alone(&SWIFT, "given up");
    let (_, mut writer) = begin(&store).await;
    writer.write(vec![bytes(5, 4 * SEGMENT)]).await.unwrap();
    let handle = writer.sync().await.unwrap();
    drop(writer);
    store.abort_upload(&handle).await.unwrap();
    assert_eq!(names(&SWIFT, "given%20up").await, [""; 0]);
    assert!(is_lost(&finish_at(&store, &handle, 4 * SEGMENT).await));
    assert_eq!(names(&SWIFT, "given%20up").await, [""; 0]);
}

async fn finish_at(
    store: &Arc<dyn BlobStore>,
    handle: &str,
    offset: usize,
) -> Result<String, StoreError> {
    let writer = store.continue_upload(handle, offset as u64).await?;
    Ok(writer.finish(&digest(b"any")).await?.location)
}

#[tokio::test]
async fn a_segment_that_comes_after_the_end_of_its_upload_does_not_stay() {
    let store = open_alone(&SWIFT, "late");
    let (_, mut writer) = begin(&store).await;
    writer.write(vec![bytes(6, 2 * SEGMENT)]).await.unwrap();
    writer.sync().await.unwrap();
    let mut before = names(&SWIFT, "late").await;
    // Another process gives it up, and this one does not know of it.
    let mark = before.iter().position(|name| name.contains("berth/unfinished/")).unwrap();
    let mark = before.remove(mark);
    assert_eq!(ask(&SWIFT, Method::DELETE, &format!("late/{mark}")).await.status(), 204);
    let written = writer.write(vec![bytes(7, 4 * SEGMENT)]).await;
    assert!(is_lost(&written) || is_lost(&writer.sync().await));
    drop(writer);
    before.sort();
    until(|| async { names(&SWIFT, "late").await == before }).await;
}

/// Waits for what another task does.
async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < MINUTE, "it never is");
    }
}

#[tokio::test]
async fn a_complete_blob_is_not_an_unfinished_upload_whatever_a_crash_left() {
    let store = open_alone(&SWIFT, "crashed");
    let content = bytes(8, 3 * SEGMENT);
    let (_, mut writer) = begin(&store).await;
    writer.write(vec![content.clone()]).await.unwrap();
    let handle = writer.sync().await.unwrap();
    let marks: Vec<String> = names(&SWIFT, "crashed").await;
    let mark = marks.iter().find(|name| name.contains("berth/unfinished/")).unwrap();
    let location = writer.finish(&digest(&content)).await.unwrap().location;
    assert_eq!(ask(&SWIFT, Method::PUT, &format!("crashed/{mark}")).await.status(), 201);

    // Finding it heals it.
    let later = SystemTime::now() + MINUTE;
    let found = stale(&store, later).await;
    assert!(found.iter().all(|one| may_be_at(one, &location)), "{found:?}");
    assert!(!names(&SWIFT, "crashed").await.contains(mark));
    // Ending it is the end of nothing, and completing it again neither.
    store.abort_upload(&handle).await.unwrap();
    assert_eq!(finish_at(&store, &handle, content.len()).await.unwrap(), location);
    let blob = store.open(&digest(&content), &location).await.unwrap();
    assert_eq!(read(&blob).await, content);
}

#[tokio::test]
async fn anyone_can_read_at_a_temporary_url() {
    for (container, of_container) in [("berth", "false"), ("own key", "true")] {
        let settings = [
            ("container", container),
            ("chunksize", "1MiB"),
            // The account has another one, from before.
            ("secretkey", "a key of berth's"),
            ("tempurlcontainerkey", of_container),
        ];
        let store = open(&SWIFT, &settings);
        for content in [bytes(9, 1000), bytes(9, 3 * SEGMENT)] {
            let location = put(&store, &content).await;
            let digest = digest(&content);
            let address = store.presign(&digest, &location, MINUTE).await.unwrap().unwrap();
            let got = reqwest::get(&address).await.unwrap();
            assert_eq!(got.status(), StatusCode::OK, "{address}");
            assert_eq!(got.bytes().await.unwrap(), content);
            let wrong = reqwest::get(address.replace("temp_url_sig=", "temp_url_sig=0")).await;
            assert_eq!(wrong.unwrap().status(), StatusCode::UNAUTHORIZED);
            let put = reqwest::Client::new().put(&address).send().await.unwrap();
            assert_eq!(put.status(), StatusCode::UNAUTHORIZED);
        }
    }
    // The one from before still stands.
    let account = ask(&SWIFT, Method::HEAD, "").await;
    assert_eq!(account.headers()["x-account-meta-temp-url-key"], SWIFT.temp_url_key());
}

#[tokio::test]
async fn nobody_is_sent_to_the_store_without_a_key_or_where_reading_is_not_allowed() {
    let keyed = ("secretkey", SWIFT.temp_url_key());
    for settings in [&[][..], &[keyed, ("tempurlmethods", "[\"PUT\"]")]] {
        let store = open(&SWIFT, settings);
        let location = put(&store, &bytes(10, 10)).await;
        let address = store.presign(&digest(b""), &location, MINUTE).await.unwrap();
        assert_eq!(address, None, "{settings:?}");
    }
}
