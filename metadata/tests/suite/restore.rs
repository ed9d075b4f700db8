use std::time::Duration;

use berth_metadata::{Deletion, EventAction, Keep, NewManifest, Restore};
use berth_oci::{Digest, LinkChange, Reference, Tag};

use super::deletion::{delete_for_a_while, delete_repository};
use super::events::{event, pending};
use super::fixtures::*;

const WINDOW: Duration = Duration::from_secs(3600);

async fn find(store: &Store, name: &str, reference: Option<&Reference>) -> Option<Deletion> {
    store.find_deletion(&repository(name), reference).await.unwrap()
}

/// Brings back one manifest of a deletion with its tags.
async fn bring(store: &Store, deletion: &Deletion, digest: &Digest) -> Restore {
    store.restore(deletion.id, digest, None, 100, &[]).await.unwrap()
}

fn restored(tags: &[&str]) -> Restore {
    let tags = tags.iter().map(|name| tag(name)).collect();
    Restore::Restored { tags, taken: Vec::new(), more_after: None }
}

/// Brings back all of a deletion that can be had, in the order of the digests, time and again.
async fn bring_all(store: &Store, deletion: &Deletion) {
    loop {
        let content = store.deleted_manifests(deletion.id, None, 1000).await.unwrap();
        let mut progress = false;
        for manifest in content {
            progress |=
                matches!(bring(store, deletion, &manifest.digest).await, Restore::Restored { .. });
        }
        if !progress {
            return;
        }
    }
}

pub async fn a_deleted_tag_is_had_back(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    let app = repository("app");
    assert!(store.delete_tag(&app, &tag("a"), WINDOW, &[]).await.unwrap());
    assert_eq!(payload(&store, "app", &by_tag("a")).await, None);

    let deletion = find(&store, "app", Some(&by_tag("a"))).await.unwrap();
    assert_eq!(deletion.reference, Some(by_tag("a")));
    assert_eq!((deletion.manifests, deletion.tags), (0, 1));
    assert_eq!(bring(&store, &deletion, &digest("one")).await, restored(&["a"]));

    assert_eq!(payload(&store, "app", &by_tag("a")).await.unwrap(), "one");
    assert_eq!(find(&store, "app", Some(&by_tag("a"))).await, None);
    assert_eq!(bring(&store, &deletion, &digest("one")).await, Restore::Unknown);
}

pub async fn a_deleted_manifest_comes_back_with_all_it_was(store: Store) {
    let layer = push_blob(&store, "app", "layer").await;
    push_manifest(&store, manifest("app", "child")).await;
    let image = NewManifest {
        blobs: vec![(layer.digest, true), (digest("foreign"), false)],
        manifests: vec![(digest("child"), true), (digest("sparse"), false)],
        tags: vec![tag("v1"), tag("latest")],
        ..attached("app", "image", "subject", "text/plain")
    };
    push_manifest(&store, image).await;
    let app = repository("app");
    let subject = digest("subject");
    let before = store.referrers(&app, &subject, Some("text/plain"), None, 10).await.unwrap();
    let read = store.manifest(&app, &by_tag("v1")).await.unwrap();

    delete_for_a_while(&store, "app", "image").await;
    assert_eq!(payload(&store, "app", &by_tag("v1")).await, None);
    let gone = Reference::Digest(digest("image"));
    let deletion = find(&store, "app", Some(&gone)).await.unwrap();
    let record = store.deleted_manifest(deletion.id, &digest("image")).await.unwrap().unwrap();
    assert_eq!(Some(&record), read.as_deref());
    let restored_tags = bring(&store, &deletion, &digest("image")).await;
    assert_eq!(restored_tags, restored(&["latest", "v1"]));

    assert_eq!(store.manifest(&app, &by_tag("v1")).await.unwrap(), read);
    let after = store.referrers(&app, &subject, Some("text/plain"), None, 10).await.unwrap();
    assert_eq!(after, before);
    // It holds its blobs and its children as before.
    assert_eq!(review_all(&store, GRACE).await.unlinked, 0);
    let keep = Keep::for_good(Duration::ZERO);
    let refused = store.delete_manifest(&app, &digest("child"), keep, &[]).await.unwrap();
    assert_eq!(refused, berth_metadata::DeleteManifest::NamedBy(digest("image")));
    assert!(store.deletions(None, None, 10).await.unwrap().is_empty());
}

pub async fn what_went_along_comes_back(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    push_manifest(&store, attached("app", "sbom", "image", "text/plain")).await;
    let [_, signature, ..] = berth_oci::attached_tags(&digest("image"));
    push_manifest(&store, tagged("app", "signed", &[&signature])).await;

    delete_for_a_while(&store, "app", "image").await;
    let deletion = find(&store, "app", Some(&by_tag("v1"))).await.unwrap();
    assert_eq!((deletion.manifests, deletion.tags), (3, 2));
    bring_all(&store, &deletion).await;

    assert_eq!(all_tags(&store, "app").await, [signature.as_str(), "v1"]);
    let referrers = store.referrers(&repository("app"), &digest("image"), None, None, 10).await;
    assert_eq!(referrers.unwrap().entries.len(), 1);
    assert_eq!(payload(&store, "app", &by_tag(&signature)).await.unwrap(), "signed");
    assert!(store.deletions(None, None, 10).await.unwrap().is_empty());
}

pub async fn a_repository_comes_back(store: Store) {
    let layer = push_blob(&store, "app", "layer").await;
    for number in 0..5 {
        let (payload, tag) = (format!("image {number}"), format!("v{number}"));
        let blobs = vec![(layer.digest, true)];
        push_manifest(&store, NewManifest { blobs, ..tagged("app", &payload, &[&tag]) }).await;
    }
    let children = (0..5).map(|number| (digest(format!("image {number}")), true)).collect();
    let index = NewManifest { manifests: children, ..tagged("app", "index", &["all"]) };
    push_manifest(&store, index).await;

    delete_repository(&store, "app", WINDOW).await;
    assert!(all_repositories(&store).await.is_empty());
    let deletion = find(&store, "app", None).await.unwrap();
    assert_eq!((deletion.reference.as_ref(), deletion.is_open), (None, false));
    assert_eq!((deletion.manifests, deletion.tags), (6, 6));
    // Any of its names leads to it.
    assert_eq!(find(&store, "app", Some(&by_tag("all"))).await.as_ref(), Some(&deletion));
    bring_all(&store, &deletion).await;

    assert_eq!(all_repositories(&store).await, ["app"]);
    assert_eq!(all_tags(&store, "app").await, ["all", "v0", "v1", "v2", "v3", "v4"]);
    assert_eq!(payload(&store, "app", &by_tag("all")).await.unwrap(), "index");
    assert_eq!(find(&store, "app", None).await, None);
}

pub async fn a_tag_that_was_set_anew_is_left_alone(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    delete_for_a_while(&store, "app", "one").await;
    push_manifest(&store, tagged("app", "two", &["a"])).await;
    let deletion = find(&store, "app", Some(&by_tag("b"))).await.unwrap();

    let outcome = bring(&store, &deletion, &digest("one")).await;

    let (tags, taken) = (vec![tag("b")], vec![tag("a")]);
    assert_eq!(outcome, Restore::Restored { tags, taken, more_after: None });
    assert_eq!(payload(&store, "app", &by_tag("a")).await.unwrap(), "two");
    assert_eq!(payload(&store, "app", &by_tag("b")).await.unwrap(), "one");

    // Once it is free it can be had back, too.
    assert!(store.delete_tag(&repository("app"), &tag("a"), Duration::ZERO, &[]).await.unwrap());
    assert_eq!(bring(&store, &deletion, &digest("one")).await, restored(&["a"]));
}

pub async fn what_needs_a_blob_that_is_gone_is_refused(store: Store) {
    let layer = push_blob(&store, "app", "layer").await;
    let image = NewManifest {
        blobs: vec![(layer.digest, true), (digest("foreign"), false)],
        ..tagged("app", "image", &["v1"])
    };
    push_manifest(&store, image).await;
    delete_for_a_while(&store, "app", "image").await;
    assert!(store.unlink_blob(&repository("app"), &layer.digest, GRACE, &[]).await.unwrap());
    let deletion = find(&store, "app", Some(&by_tag("v1"))).await.unwrap();

    let refused = bring(&store, &deletion, &digest("image")).await;

    assert_eq!(refused, Restore::Missing(vec![layer.digest]));
    assert_eq!(payload(&store, "app", &by_tag("v1")).await, None);
    push_blob(&store, "app", "layer").await;
    assert_eq!(bring(&store, &deletion, &digest("image")).await, restored(&["v1"]));
}

pub async fn an_index_comes_back_after_what_it_names(store: Store) {
    push_manifest(&store, manifest("app", "child")).await;
    let index = NewManifest {
        manifests: vec![(digest("child"), true)],
        ..tagged("app", "index", &["all"])
    };
    push_manifest(&store, index).await;
    delete_repository(&store, "app", WINDOW).await;
    let deletion = find(&store, "app", None).await.unwrap();
    let mut content = store.deleted_manifests(deletion.id, None, 10).await.unwrap();
    content.sort_by_key(|manifest| manifest.is_index);
    assert_eq!(
        content.iter().map(|m| m.digest).collect::<Vec<_>>(),
        [digest("child"), digest("index")]
    );
    assert!(!content[0].is_index && content[1].is_index);

    let refused = bring(&store, &deletion, &digest("index")).await;
    assert_eq!(refused, Restore::Missing(vec![digest("child")]));
    assert_eq!(bring(&store, &deletion, &digest("child")).await, restored(&[]));
    assert_eq!(bring(&store, &deletion, &digest("index")).await, restored(&["all"]));
}

pub async fn a_manifest_that_was_pushed_again_gets_its_tags(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    delete_for_a_while(&store, "app", "one").await;
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    let deletion = find(&store, "app", Some(&by_tag("b"))).await.unwrap();

    assert_eq!(bring(&store, &deletion, &digest("one")).await, restored(&["b"]));

    assert_eq!(all_tags(&store, "app").await, ["a", "b"]);
    assert!(store.deletions(None, None, 10).await.unwrap().is_empty());
}

pub async fn the_tags_of_a_manifest_that_is_gone_are_refused(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    assert!(store.delete_tag(&repository("app"), &tag("a"), WINDOW, &[]).await.unwrap());
    delete_for_a_while(&store, "app", "one").await;
    let of_tag = find(&store, "app", Some(&by_tag("a"))).await.unwrap();
    let of_manifest = find(&store, "app", Some(&Reference::Digest(digest("one")))).await.unwrap();
    assert!(of_manifest.id > of_tag.id);

    assert_eq!(bring(&store, &of_tag, &digest("one")).await, Restore::ManifestGone);
    assert_eq!(bring(&store, &of_manifest, &digest("one")).await, restored(&[]));
    assert_eq!(bring(&store, &of_tag, &digest("one")).await, restored(&["a"]));
}

pub async fn what_is_gone_for_good_cannot_be_had_back(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    push_manifest(&store, tagged("app", "two", &["c"])).await;
    let app = repository("app");
    // The shortest time that is one: it is over when the next transaction begins.
    let keep = Keep { grace: Duration::ZERO, undelete: Duration::from_micros(1) };
    assert!(store.delete_tag(&app, &tag("b"), keep.undelete, &[]).await.unwrap());
    store.delete_manifest(&app, &digest("one"), keep, &[]).await.unwrap();
    assert!(delete(&store, &app, &digest("two"), Duration::ZERO, &[]).await);

    for name in ["a", "b", "c"] {
        assert_eq!(find(&store, "app", Some(&by_tag(name))).await, None, "{name}");
    }
    assert!(store.deletions(None, None, 10).await.unwrap().is_empty());
    // A tag with its deletion; a manifest and its tag, with theirs.
    let mut forgotten = Vec::new();
    while forgotten.last() != Some(&0) {
        forgotten.push(store.forget_deletions(2).await.unwrap());
    }
    assert_eq!(forgotten, [2, 2, 0]);
}

pub async fn many_tags_come_back_in_pages(store: Store) {
    let names: Vec<String> = (0..7).map(|number| format!("v{number}")).collect();
    let tags: Vec<&str> = names.iter().map(String::as_str).collect();
    push_manifest(&store, tagged("app", "one", &tags)).await;
    delete_for_a_while(&store, "app", "one").await;
    let deletion = find(&store, "app", Some(&by_tag("v3"))).await.unwrap();
    let mut after: Option<Tag> = None;
    let mut pages = Vec::new();
    loop {
        let page = store.restore(deletion.id, &digest("one"), after.as_ref(), 3, &[]).await;
        let Restore::Restored { tags, more_after, .. } = page.unwrap() else { panic!() };
        pages.push(tags.len());
        match more_after {
            Some(tag) => after = Some(tag),
            None => break,
        }
    }
    assert_eq!(pages, [3, 3, 1]);
    assert_eq!(all_tags(&store, "app").await, names);
}

pub async fn the_newest_deletion_is_found(store: Store) {
    for payload in ["one", "two"] {
        push_manifest(&store, tagged("app", payload, &["a"])).await;
        delete_for_a_while(&store, "app", payload).await;
    }
    push_manifest(&store, tagged("other", "three", &["a"])).await;
    delete_for_a_while(&store, "other", "three").await;

    let deletion = find(&store, "app", Some(&by_tag("a"))).await.unwrap();
    assert_eq!(deletion.reference, Some(Reference::Digest(digest("two"))));
    let deletion = find(&store, "app", Some(&Reference::Digest(digest("one")))).await.unwrap();
    assert_eq!(deletion.reference, Some(Reference::Digest(digest("one"))));
    assert_eq!(find(&store, "app", None).await, None);
    assert_eq!(find(&store, "app", Some(&by_tag("b"))).await, None);
}

pub async fn deletions_are_listed_the_newest_first(store: Store) {
    for name in ["a", "b", "a"] {
        push_manifest(&store, tagged(name, "one", &["v1"])).await;
        delete_repository(&store, name, WINDOW).await;
    }
    let names = |page: &[Deletion]| -> Vec<String> {
        page.iter().map(|deletion| deletion.repository.to_string()).collect()
    };
    let all = store.deletions(None, None, 10).await.unwrap();
    assert_eq!(names(&all), ["a", "b", "a"]);
    assert!(all.iter().all(|deletion| deletion.until > deletion.deleted_at));
    let next = store.deletions(None, Some(all[0].id), 1).await.unwrap();
    assert_eq!(names(&next), ["b"]);
    let of_a = store.deletions(Some(&repository("a")), None, 10).await.unwrap();
    assert_eq!(names(&of_a), ["a", "a"]);
}

pub async fn the_tree_and_the_listeners_are_told_of_what_is_back(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1", "v2"])).await;
    push_manifest(&store, manifest("app", "plain")).await;
    delete_repository(&store, "app", WINDOW).await;
    let deletion = find(&store, "app", None).await.unwrap();
    let before = changes(&store).await.len();
    for payload in ["image", "plain"] {
        let events = [event(&["hook"], EventAction::Push, "app", payload)];
        store.restore(deletion.id, &digest(payload), None, 10, &events).await.unwrap();
    }

    let repository = repository("app");
    let put = |payload: &'static str| LinkChange::PutManifest {
        repository: repository.clone(),
        digest: digest(payload),
        payload: payload.into(),
    };
    let set = |name| LinkChange::SetTag {
        repository: repository.clone(),
        digest: digest("image"),
        tag: tag(name),
    };
    let all = changes(&store).await;
    // Entries of what was pushed before count again: their manifests are there.
    let expected = [put("image"), set("v1"), set("v2"), put("plain")];
    assert_eq!(all[all.len() - 4..], expected, "after {before}");
    let told: Vec<_> =
        pending(&store, "hook").await.into_iter().map(|event| (event.digest, event.tag)).collect();
    assert_eq!(
        told,
        [
            (Some(digest("image")), Some(tag("v1"))),
            (Some(digest("image")), Some(tag("v2"))),
            (Some(digest("plain")), None),
        ]
    );
}
