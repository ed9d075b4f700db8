use std::time::Duration;

use berth_metadata::{
    DeleteManifest, Event, EventAction, ExpiredManifests, Keep, NewEvent, NewManifest,
    ProtectedTags, PutManifest, TagUse, UntaggedLook,
};
use berth_oci::{Digest, Reference, Tag};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::fixtures::*;

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(3600);

/// A push of tags that must not point elsewhere.
fn immutable(payload: &str, tags: &[&str]) -> NewManifest {
    let pushed = tagged("app", payload, tags);
    NewManifest { immutable_tags: pushed.tags.clone(), ..pushed }
}

async fn uses(store: &Store) -> Vec<TagUse> {
    let page = store.tag_uses(&repository("app"), None, 100).await.unwrap();
    assert!(!page.more);
    page.entries
}

async fn use_of(store: &Store, name: &str) -> TagUse {
    uses(store).await.into_iter().find(|one| one.tag == tag(name)).expect("there is no such tag")
}

/// Waits until times that are stored from now on are later than those before.
async fn later(store: &Store) {
    let before = store.now().await.unwrap();
    while store.now().await.unwrap() <= before + Duration::from_millis(2) {
        tokio::task::yield_now().await;
    }
}

fn look(after: Option<Digest>, age: Duration, dry_run: bool) -> UntaggedLook {
    UntaggedLook { after, limit: 2, age, keep: Keep::default(), dry_run }
}

/// All manifests that expire, over pages of two.
async fn expire(store: &Store, age: Duration, dry_run: bool) -> Vec<Digest> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let look = look(after, age, dry_run);
        let ExpiredManifests { manifests, next } =
            store.expire_untagged(&repository("app"), look, &[]).await.unwrap();
        all.extend(manifests);
        match next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

/// All that expire at once, and what stood behind them.
async fn expire_all(store: &Store) -> Vec<Digest> {
    let mut all = Vec::new();
    loop {
        let pass = expire(store, NOW, false).await;
        if pass.is_empty() {
            all.sort();
            return all;
        }
        all.extend(pass);
    }
}

fn sorted(payloads: &[&str]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = payloads.iter().map(digest).collect();
    digests.sort();
    digests
}

pub async fn an_immutable_tag_is_pushed_once(store: Store) {
    push_manifest(&store, immutable("one", &["v1"])).await;
    push_manifest(&store, immutable("one", &["v1"])).await;

    // All of a push or nothing.
    for tags in [&["v1"][..], &["new", "v1"], &["v1", "new"]] {
        let refused = store.put_manifest(immutable("two", tags)).await.unwrap();
        assert_eq!(refused, PutManifest::Immutable(tag("v1")));
    }
    assert_eq!(payload(&store, "app", &by_tag("v1")).await.unwrap(), "one");
    assert_eq!(payload(&store, "app", &Reference::Digest(digest("two"))).await, None);
    assert_eq!(all_tags(&store, "app").await, ["v1"]);
    let entries = changes(&store).await.len();

    // Where it is not immutable, as by another replica, it moves.
    push_manifest(&store, NewManifest { immutable_tags: vec![], ..immutable("two", &["v1"]) })
        .await;
    assert_eq!(payload(&store, "app", &by_tag("v1")).await.unwrap(), "two");
    assert!(changes(&store).await.len() > entries);
    // Of several tags only the immutable ones count.
    push_manifest(&store, tagged("app", "one", &["latest"])).await;
    let mixed = NewManifest {
        immutable_tags: vec![tag("v3")],
        ..tagged("app", "three", &["latest", "v3"])
    };
    push_manifest(&store, mixed).await;
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "three");
    // A tag that was deleted can be pushed anew.
    assert!(store.delete_tag(&repository("app"), &tag("v3"), NOW, &[]).await.unwrap());
    push_manifest(&store, immutable("four", &["v3"])).await;
}

pub async fn one_of_many_first_pushes_of_an_immutable_tag_wins(store: Store) {
    for round in 0..10 {
        let name = format!("v{round}");
        let mut pushes = JoinSet::new();
        for n in 0..8 {
            let push = immutable(&format!("image {round} {n}"), &[&name]);
            let store = store.clone();
            pushes.spawn(async move {
                let stored = store.put_manifest(push.clone()).await.unwrap();
                (stored == PutManifest::Stored).then_some(push)
            });
        }
        let won: Vec<_> = pushes.join_all().await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "round {round}");
        let there = payload(&store, "app", &by_tag(&name)).await.unwrap();
        assert_eq!(there, won[0].payload);
        for n in 0..8 {
            let image = format!("image {round} {n}");
            let reference = Reference::Digest(digest(&image));
            assert_eq!(payload(&store, "app", &reference).await.is_some(), image == there);
        }
    }
}

pub async fn a_manifest_with_a_protected_tag_stays(store: Store) {
    push_manifest(&store, manifest("app", "another")).await;
    push_manifest(&store, tagged("app", "one", &["latest", "v1"])).await;
    let app = repository("app");
    let delete = async |protected: &ProtectedTags| {
        let one = digest("one");
        let delete = store.delete_unprotected_manifest(&app, &one, Keep::default(), &[], protected);
        delete.await.unwrap()
    };
    let versions = ProtectedTags::new(|tag: &Tag| tag.as_str().starts_with('v'));

    assert_eq!(delete(&versions).await, DeleteManifest::Protected(tag("v1")));
    assert_eq!(all_tags(&store, "app").await, ["latest", "v1"]);
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "one");

    assert!(store.delete_tag(&app, &tag("v1"), NOW, &[]).await.unwrap());
    assert_eq!(delete(&versions).await, DeleteManifest::Deleted { unfinished: None });
    assert_eq!(delete(&versions).await, DeleteManifest::Unknown);
    assert!(all_tags(&store, "app").await.is_empty());
}

pub async fn tags_are_told_with_their_times(store: Store) {
    let before = store.now().await.unwrap();
    later(&store).await;
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    later(&store).await;
    push_manifest(&store, tagged("app", "two", &["c"])).await;
    push_manifest(&store, tagged("other", "two", &["d"])).await;

    let first = uses(&store).await;
    let names: Vec<_> = first.iter().map(|one| one.tag.to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(before < first[0].pushed_at && first[0].pushed_at < first[2].pushed_at);
    assert!(first.iter().all(|one| one.pulled_at.is_none()));
    let page = store.tag_uses(&repository("app"), Some("a"), 1).await.unwrap();
    assert_eq!((page.entries[0].tag.as_str(), page.more), ("b", true));
    let nowhere = store.tag_uses(&repository("nowhere"), None, 1).await.unwrap();
    assert!(nowhere.entries.is_empty() && !nowhere.more);

    // A push of the same once more is a push.
    later(&store).await;
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let again = uses(&store).await;
    assert!(again[0].pushed_at > first[2].pushed_at);
    assert_eq!(again[1..], first[1..]);
    let last = changes(&store).await.pop().unwrap();
    assert!(!format!("{last:?}").contains("\"a\""), "nothing has changed in the tree: {last:?}");
}

pub async fn a_pull_by_any_name_counts_for_all_tags_of_a_manifest(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    push_manifest(&store, tagged("app", "two", &["c"])).await;
    push_manifest(&store, tagged("other", "one", &["a"])).await;
    later(&store).await;
    let before = store.now().await.unwrap();
    let pulled = vec![
        (repository("app"), digest("one")),
        (repository("app"), digest("one")),
        (repository("app"), digest("gone")),
        (repository("nowhere"), digest("two")),
    ];

    store.record_pulls(pulled.clone()).await.unwrap();

    let first = uses(&store).await;
    // To the millisecond, where clocks differ in what they tell.
    assert!(first[0].pulled_at.unwrap() + Duration::from_millis(2) > before);
    assert_eq!(first[0].pulled_at, first[1].pulled_at);
    assert_eq!(first[2].pulled_at, None);
    later(&store).await;
    store.record_pulls(pulled).await.unwrap();
    assert!(uses(&store).await[0].pulled_at > first[0].pulled_at);
    store.record_pulls(Vec::new()).await.unwrap();

    // What was known of a manifest goes with it.
    assert!(delete(&store, &repository("app"), &digest("one"), NOW, &[]).await);
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    assert_eq!(use_of(&store, "a").await.pulled_at, None);
}

pub async fn tags_that_no_policy_keeps_are_deleted(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b", "c"])).await;
    let gone = TagUse { tag: tag("gone"), ..use_of(&store, "a").await };
    let seen = vec![use_of(&store, "c").await, gone, use_of(&store, "a").await];
    assert_eq!(payload(&store, "app", &by_tag("c")).await.unwrap(), "one");

    let mut deleted = store.expire_tags(&repository("app"), seen.clone(), NOW, &[]).await.unwrap();

    deleted.sort();
    assert_eq!(deleted, [tag("a"), tag("c")]);
    assert_eq!(all_tags(&store, "app").await, ["b"]);
    assert_eq!(payload(&store, "app", &by_tag("c")).await, None);
    let changes = changes(&store).await;
    let told = changes.iter().filter(|change| format!("{change:?}").contains("DeleteTag")).count();
    assert_eq!(told, 2);
    assert!(
        store.expire_tags(&repository("app"), seen.clone(), NOW, &[]).await.unwrap().is_empty()
    );
    assert!(store.expire_tags(&repository("nowhere"), seen, NOW, &[]).await.unwrap().is_empty());
}

pub async fn a_tag_that_was_pushed_or_pulled_since_stays(store: Store) {
    for (payload, name) in
        [("one", "moved"), ("two", "pushed"), ("three", "pulled"), ("four", "old")]
    {
        push_manifest(&store, tagged("app", payload, &[name])).await;
    }
    let seen = uses(&store).await;
    later(&store).await;
    push_manifest(&store, tagged("app", "five", &["moved"])).await;
    push_manifest(&store, tagged("app", "two", &["pushed"])).await;
    store.record_pulls(vec![(repository("app"), digest("three"))]).await.unwrap();

    let deleted = store.expire_tags(&repository("app"), seen, NOW, &[]).await.unwrap();

    assert_eq!(deleted, [tag("old")]);
    assert_eq!(all_tags(&store, "app").await, ["moved", "pulled", "pushed"]);
}

pub async fn each_expired_tag_and_manifest_has_its_event(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    let event = Event {
        uuid: Uuid::new_v4(),
        action: EventAction::Delete,
        repository: repository("app"),
        digest: None,
        tag: None,
        media_type: None,
        size: None,
        from_repository: None,
        descriptors: None,
        origin: "{}".into(),
    };
    let template = [NewEvent { endpoints: ["hook".into()].into(), event }];

    let seen = uses(&store).await;
    store.expire_tags(&repository("app"), seen.clone(), NOW, &template).await.unwrap();
    store.expire_tags(&repository("app"), seen, NOW, &template).await.unwrap();
    let look = look(None, NOW, false);
    store.expire_untagged(&repository("app"), look.clone(), &template).await.unwrap();
    store.expire_untagged(&repository("app"), look, &template).await.unwrap();

    let told = store.events("hook", 10).await.unwrap();
    let about: Vec<_> =
        told.iter().map(|told| (told.event.tag.clone(), told.event.digest)).collect();
    let expected = [(Some(tag("a")), None), (Some(tag("b")), None), (None, Some(digest("one")))];
    assert_eq!(about, expected);
    assert!(told[0].event.uuid != told[1].event.uuid);
}

pub async fn manifests_that_nothing_stands_for_expire(store: Store) {
    let app = repository("app");
    push_manifest(&store, tagged("app", "tagged", &["a", "moving"])).await;
    push_manifest(&store, tagged("app", "left", &["moving"])).await;
    push_manifest(&store, tagged("app", "other", &["moving"])).await;
    push_manifest(&store, manifest("app", "by digest")).await;
    push_manifest(&store, manifest("app", "child")).await;
    let children = vec![(digest("child"), true)];
    push_manifest(&store, NewManifest { manifests: children, ..manifest("app", "index") }).await;
    push_manifest(&store, attached("app", "signature", "tagged", "text/plain")).await;
    push_manifest(&store, attached("app", "orphan", "never here", "text/plain")).await;
    push_manifest(&store, manifest("elsewhere", "by digest")).await;

    assert_eq!(expire(&store, LONG, false).await, []);
    let first = sorted(&["left", "by digest", "index", "orphan"]);
    assert_eq!(expire(&store, NOW, true).await, first);
    assert_eq!(expire(&store, NOW, true).await, first, "a dry run changes nothing");
    // What only the index stood for goes after it.
    assert_eq!(
        expire_all(&store).await,
        sorted(&["left", "by digest", "index", "orphan", "child"])
    );

    for stays in ["tagged", "other", "signature"] {
        let reference = Reference::Digest(digest(stays));
        assert!(payload(&store, "app", &reference).await.is_some(), "{stays}");
    }
    assert_eq!(payload(&store, "app", &Reference::Digest(digest("left"))).await, None);
    let elsewhere = Reference::Digest(digest("by digest"));
    assert!(payload(&store, "elsewhere", &elsewhere).await.is_some());

    // With its last tag, and then its subject.
    let seen = uses(&store).await;
    store.expire_tags(&app, seen, NOW, &[]).await.unwrap();
    assert_eq!(expire_all(&store).await, sorted(&["tagged", "other", "signature"]));
}

/// Whoever wins, the tag points to a manifest that is there.
pub async fn a_manifest_that_is_being_tagged_does_not_expire(store: Store) {
    for round in 0..20 {
        let image = format!("image {round}");
        push_manifest(&store, manifest("app", &image)).await;
        let name = format!("t{round}");
        let push = store.put_manifest(tagged("app", &image, &[&name]));
        let app = repository("app");
        let expire = store.expire_untagged(&app, look(None, NOW, false), &[]);
        let (pushed, expired) = tokio::join!(push, expire);
        assert_eq!(pushed.unwrap(), PutManifest::Stored);
        expired.unwrap();
        assert_eq!(payload(&store, "app", &by_tag(&name)).await.unwrap(), image);
    }
}
