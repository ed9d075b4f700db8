use std::time::Duration;

use berth_metadata::{Event, EventAction, Keep, NewManifest, UntaggedManifests, UntaggedSearch};
use berth_oci::{Digest, RepositoryName, attached_tags};

use super::events::{event, pending};
use super::fixtures::*;

const NOW: Duration = Duration::ZERO;
const WINDOW: Duration = Duration::from_secs(3600);

type Named = (RepositoryName, Digest);

fn named(name: &str, payload: &str) -> Named {
    (repository(name), digest(payload))
}

/// All pages, a few manifests at a time.
async fn found(store: &Store, age: Duration) -> Vec<Named> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let search = UntaggedSearch { after, age, limit: 2 };
        let UntaggedManifests { manifests, next } = store.untagged_manifests(search).await.unwrap();
        all.extend(manifests);
        match next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

async fn delete_all(store: &Store, keep: Keep) -> Vec<Named> {
    let search = UntaggedSearch { after: None, age: NOW, limit: 1000 };
    let page = store.delete_untagged(search, keep, &[]).await.unwrap();
    for id in store.open_deletions(None, 100).await.unwrap() {
        finish_deletion(store, id, &[]).await;
    }
    page.manifests
}

pub async fn what_nothing_stands_for_is_found_and_deleted(store: Store) {
    push_manifest(&store, tagged("app", "tagged", &["v1"])).await;
    push_manifest(&store, manifest("app", "child")).await;
    let index = NewManifest {
        manifests: vec![(digest("child"), true)],
        ..tagged("app", "index", &["all"])
    };
    push_manifest(&store, index).await;
    push_manifest(&store, attached("app", "sbom", "tagged", "text/plain")).await;
    push_manifest(&store, manifest("app", "untagged")).await;
    push_manifest(&store, attached("app", "follower", "untagged", "text/plain")).await;
    push_manifest(&store, attached("app", "stray", "elsewhere", "text/plain")).await;
    push_manifest(&store, manifest("b", "child")).await;

    let expected = [named("app", "untagged"), named("app", "stray"), named("b", "child")];
    assert_eq!(found(&store, NOW).await, expected);
    assert_eq!(found(&store, NOW).await, expected, "to look changes nothing");
    assert_eq!(delete_all(&store, Keep::for_good(NOW)).await, expected);

    assert!(found(&store, NOW).await.is_empty());
    let app = repository("app");
    for (payload, stays) in [("tagged", true), ("child", true), ("sbom", true), ("follower", false)]
    {
        let reference = berth_oci::Reference::Digest(digest(payload));
        let is_there = store.manifest(&app, &reference).await.unwrap().is_some();
        assert_eq!(is_there, stays, "{payload}");
    }
    assert_eq!(all_repositories(&store).await, ["app"]);
}

pub async fn young_ones_stay(store: Store) {
    push_manifest(&store, manifest("app", "untagged")).await;

    assert!(found(&store, WINDOW).await.is_empty());
    let search = UntaggedSearch { after: None, age: WINDOW, limit: 10 };
    let page = store.delete_untagged(search, Keep::for_good(NOW), &[]).await.unwrap();
    assert!(page.manifests.is_empty());
    assert_eq!(found(&store, NOW).await.len(), 1);
}

pub async fn tags_of_a_subject_that_is_not_there_do_not_count(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    let [_, here, ..] = attached_tags(&digest("image"));
    let gone = attached_tags(&digest("gone"));
    push_manifest(&store, tagged("app", "of the image", &[&here])).await;
    for (payload, tag) in ["list", "signature", "attestation", "materials"].iter().zip(&gone) {
        push_manifest(&store, tagged("app", payload, &[tag])).await;
    }
    push_manifest(&store, tagged("app", "with a tag", &[&format!("{}.other", gone[0])])).await;
    push_manifest(&store, tagged("app", "no digest", &[&gone[1].replace("sha256-", "sha257-")]))
        .await;
    push_manifest(&store, tagged("app", "both", &[&gone[3], "mine"])).await;

    // The last one has lost its tag.
    let expected = ["list", "signature", "attestation", "materials"].map(|one| named("app", one));
    assert_eq!(found(&store, NOW).await, expected);
    assert_eq!(delete_all(&store, Keep::for_good(NOW)).await, expected);

    let mut left = vec![
        here.clone(),
        format!("{}.other", gone[0]),
        gone[1].replace("sha256-", "sha257-"),
        gone[3].clone(),
        "mine".to_owned(),
        "v1".to_owned(),
    ];
    left.sort();
    assert_eq!(all_tags(&store, "app").await, left);
}

pub async fn each_can_be_had_back_and_is_told(store: Store) {
    let layer = blob("layer");
    let push =
        berth_metadata::FinishedUpload { lease: NOW, ..finished("app", None, layer.clone()) };
    assert!(finish(&store, push).await);
    let image = NewManifest { blobs: vec![(layer.digest, true)], ..manifest("app", "image") };
    push_manifest(&store, image).await;
    push_manifest(&store, manifest("b", "image")).await;
    let keep = Keep { grace: NOW, undelete: WINDOW };
    let events = [event(&["hook"], EventAction::Delete, "any", "any")];
    let search = UntaggedSearch { after: None, age: NOW, limit: 10 };

    let page = store.delete_untagged(search, keep, &events).await.unwrap();

    assert_eq!(page.manifests.len(), 2);
    let told: Vec<Event> = pending(&store, "hook").await;
    let said: Vec<_> =
        told.iter().map(|event| (event.repository.clone(), event.digest.unwrap())).collect();
    assert_eq!(said, page.manifests);
    assert_ne!(told[0].uuid, told[1].uuid);
    assert_eq!(review_all(&store, NOW).await.unlinked, 0, "the blob stays as long");
    let deletions = store.deletions(None, None, 10).await.unwrap();
    assert_eq!(deletions.len(), 2, "each is a deletion of its own");
    let of_app = deletions.iter().find(|one| one.repository.as_str() == "app").unwrap();
    store.restore(of_app.id, &digest("image"), None, 10, &[]).await.unwrap();
    assert_eq!(found(&store, NOW).await, [named("app", "image")]);
}
