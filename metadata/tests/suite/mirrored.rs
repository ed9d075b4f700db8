use std::time::Duration;

use berth_metadata::{FetchKey, Mirrored, NewManifest};
use berth_oci::Reference;

use super::fixtures::*;

const MINUTE: Duration = Duration::from_secs(60);

fn fetched(payload: &str, tags: &[&str]) -> NewManifest {
    let (upstream, prefix) = ("hub.example.org".to_owned(), "hub".to_owned());
    let mirrored = Some(Mirrored::Fetched { upstream, prefix });
    NewManifest { mirrored, ..tagged("app", payload, tags) }
}

pub async fn a_tag_that_came_from_an_upstream_is_known_by_what_it_pointed_to(store: Store) {
    push_manifest(&store, fetched("one", &["v1", "v2"])).await;
    push_manifest(&store, tagged("app", "own", &["v3"])).await;
    for name in ["v1", "v2"] {
        let known = store.mirrored_tag(&repository("app"), &tag(name)).await.unwrap().unwrap();
        assert_eq!((known.digest, &*known.upstream), (digest("one"), "hub.example.org"));
        assert!(known.age < MINUTE, "{:?}", known.age);
    }
    for (name, of) in [("v3", "app"), ("v1", "other")] {
        assert_eq!(store.mirrored_tag(&repository(of), &tag(name)).await.unwrap(), None);
    }
    push_manifest(&store, fetched("two", &["v1"])).await;
    let known = store.mirrored_tag(&repository("app"), &tag("v1")).await.unwrap().unwrap();
    assert_eq!(known.digest, digest("two"));
}

pub async fn a_tag_that_is_pushed_over_one_from_upstream_points_elsewhere(store: Store) {
    push_manifest(&store, fetched("theirs", &["v1"])).await;
    push_manifest(&store, tagged("app", "ours", &["v1"])).await;
    let known = store.mirrored_tag(&repository("app"), &tag("v1")).await.unwrap().unwrap();
    assert_eq!(known.digest, digest("theirs"));
}

pub async fn a_look_at_a_tag_counts_for_what_it_saw_alone(store: Store) {
    push_manifest(&store, fetched("one", &["v1"])).await;
    let (app, v1) = (repository("app"), tag("v1"));
    let age = async || store.mirrored_tag(&app, &v1).await.unwrap().unwrap().age;
    let pause = Duration::from_millis(20);
    tokio::time::sleep(pause).await;
    assert!(age().await >= pause);
    store.mirrored_tag_checked(&app, &v1, &digest("another")).await.unwrap();
    assert!(age().await >= pause);
    let before = age().await;
    store.mirrored_tag_checked(&app, &v1, &digest("one")).await.unwrap();
    assert!(age().await < before);
}

pub async fn whether_a_blob_is_anywhere_is_known(store: Store) {
    assert!(!store.knows_blob(&digest("layer")).await.unwrap());
    push_blob(&store, "app", "layer").await;
    assert!(store.knows_blob(&digest("layer")).await.unwrap());
}

pub async fn who_holds_a_fetch_holds_it_again(store: Store) {
    let key = FetchKey { repository: repository("app"), reference: Reference::Tag(tag("v1")) };
    for _ in 0..2 {
        assert!(store.hold_fetch(&key, MINUTE).await.unwrap());
    }
    store.release_fetch(&key).await.unwrap();
    assert!(store.hold_fetch(&key, MINUTE).await.unwrap());
}

pub async fn what_was_pulled_least_lately_is_evicted_first_with_its_tags(store: Store) {
    let app = repository("app");
    for (payload, tags) in [("one", &["v1", "latest"][..]), ("two", &["v2"]), ("three", &["v3"])] {
        push_manifest(&store, fetched(payload, tags)).await;
    }
    store.record_pulls(vec![(app.clone(), digest("one"))]).await.unwrap();
    assert_eq!(store.evict_manifests("elsewhere", Duration::ZERO, 10).await.unwrap(), 0);
    assert_eq!(store.evict_manifests("hub", MINUTE, 10).await.unwrap(), 0);
    assert_eq!(store.evict_manifests("hub", Duration::ZERO, 1).await.unwrap(), 1);
    assert_eq!(all_tags(&store, "app").await, ["latest", "v1", "v3"]);
    assert_eq!(store.evict_manifests("hub", Duration::ZERO, 10).await.unwrap(), 2);
    for payload in ["one", "two", "three"] {
        let reference = Reference::Digest(digest(payload));
        assert_eq!(self::payload(&store, "app", &reference).await, None);
    }
    assert!(store.deletions(None, None, 10).await.unwrap().is_empty(), "it is fetched again");
}

pub async fn what_was_pushed_is_not_evicted(store: Store) {
    let pushed = |payload| {
        let mirrored = Some(Mirrored::Pushed);
        NewManifest { mirrored, ..tagged("app", payload, &[]) }
    };
    push_manifest(&store, pushed("ours")).await;
    push_manifest(&store, fetched("ours", &["v1"])).await;
    push_manifest(&store, fetched("both", &["v2"])).await;
    push_manifest(&store, pushed("both")).await;
    assert_eq!(store.evict_manifests("hub", Duration::ZERO, 10).await.unwrap(), 0);
    assert_eq!(all_tags(&store, "app").await, ["v1", "v2"]);
}

pub async fn the_blobs_of_what_is_evicted_go_with_the_next_review(store: Store) {
    let layer = push_blob_for(&store, "app", "layer", Duration::ZERO).await.digest;
    let manifest = fetched("one", &["v1"]);
    push_manifest(&store, NewManifest { blobs: vec![(layer, false)], ..manifest }).await;
    assert_eq!(store.review_links(10, GRACE).await.unwrap().unlinked, 0);
    assert_eq!(store.evict_manifests("hub", Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(store.review_links(10, GRACE).await.unwrap().unlinked, 1);
    assert_eq!(find_blob(&store, &repository("app"), &layer).await, None);
}
