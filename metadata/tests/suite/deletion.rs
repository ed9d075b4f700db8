use std::time::Duration;

use berth_metadata::{DeleteManifest, Event, EventAction, Keep, NewManifest};
use berth_oci::{LinkChange, Reference, attached_tags};

use super::events::{event, pending};
use super::fixtures::*;

const WINDOW: Duration = Duration::from_secs(3600);

/// Deletes what can be had back, and all that goes along.
pub(crate) async fn delete_for_a_while(store: &Store, name: &str, payload: &str) {
    let keep = Keep { grace: Duration::ZERO, undelete: WINDOW };
    let deleted = store.delete_manifest(&repository(name), &digest(payload), keep, &[]).await;
    match deleted.unwrap() {
        DeleteManifest::Deleted { unfinished: Some(id) } => finish_deletion(store, id, &[]).await,
        DeleteManifest::Deleted { unfinished: None } => {}
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn delete_repository(store: &Store, name: &str, undelete: Duration) {
    let id = store.delete_repository(&repository(name), undelete).await.unwrap().unwrap();
    finish_deletion(store, id, &[]).await;
}

async fn has(store: &Store, name: &str, content: &str) -> bool {
    payload(store, name, &Reference::Digest(digest(content))).await.is_some()
}

fn index(name: &str, payload: &str, children: &[&str]) -> NewManifest {
    let manifests = children.iter().map(|child| (digest(child), true)).collect();
    NewManifest { manifests, ..manifest(name, payload) }
}

/// A manifest with the tag that attaches it to another one, as cosign has it.
fn signature(name: &str, payload: &str, subject: &str) -> NewManifest {
    let [_, tag, ..] = attached_tags(&digest(subject));
    tagged(name, payload, &[&tag])
}

pub async fn a_manifest_that_an_index_names_stays(store: Store) {
    push_manifest(&store, tagged("app", "child", &["amd64"])).await;
    push_manifest(&store, index("app", "index", &["child"])).await;
    push_manifest(&store, manifest("other", "child")).await;
    let (app, keep) = (repository("app"), Keep::for_good(Duration::ZERO));

    let refused = store.delete_manifest(&app, &digest("child"), keep, &[]).await.unwrap();

    assert_eq!(refused, DeleteManifest::NamedBy(digest("index")));
    assert_eq!(payload(&store, "app", &by_tag("amd64")).await.unwrap(), "child");
    // A tag on it alone can go; and an index of one repository keeps nothing in another.
    assert!(store.delete_tag(&app, &tag("amd64"), Duration::ZERO, &[]).await.unwrap());
    assert!(delete(&store, &repository("other"), &digest("child"), Duration::ZERO, &[]).await);
    assert!(delete(&store, &app, &digest("index"), Duration::ZERO, &[]).await);
    assert!(delete(&store, &app, &digest("child"), Duration::ZERO, &[]).await);
}

pub async fn what_is_attached_goes_along(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    push_manifest(&store, attached("app", "sbom", "image", "text/sbom")).await;
    push_manifest(&store, attached("app", "of another", "other image", "text/sbom")).await;
    push_manifest(&store, attached("other", "sbom", "image", "text/sbom")).await;

    assert!(delete(&store, &repository("app"), &digest("image"), Duration::ZERO, &[]).await);

    assert!(!has(&store, "app", "image").await && !has(&store, "app", "sbom").await);
    assert!(has(&store, "app", "of another").await && has(&store, "other", "sbom").await);
    assert!(store.open_deletions(None, 10).await.unwrap().is_empty());
}

pub async fn what_is_attached_to_what_is_attached_goes_along(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    push_manifest(&store, attached("app", "sbom", "image", "text/sbom")).await;
    push_manifest(&store, attached("app", "signature", "sbom", "text/signature")).await;
    push_manifest(&store, signature("app", "old signature", "signature")).await;

    assert!(delete(&store, &repository("app"), &digest("image"), Duration::ZERO, &[]).await);

    for content in ["image", "sbom", "signature", "old signature"] {
        assert!(!has(&store, "app", content).await, "{content}");
    }
}

pub async fn what_something_else_stands_for_stays(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    let of_image = |payload: &str| attached("app", payload, "image", "text/plain");
    push_manifest(&store, NewManifest { tags: vec![tag("docs")], ..of_image("tagged") }).await;
    push_manifest(&store, of_image("named")).await;
    push_manifest(&store, of_image("plain")).await;
    push_manifest(&store, index("app", "index", &["named"])).await;
    let both = signature("app", "signature with a tag", "image");
    push_manifest(&store, both.clone()).await;
    push_manifest(&store, NewManifest { tags: vec![tag("kept")], ..both.clone() }).await;

    assert!(delete(&store, &repository("app"), &digest("image"), Duration::ZERO, &[]).await);

    for content in ["tagged", "named", "index", "signature with a tag"] {
        assert!(has(&store, "app", content).await, "{content}");
    }
    assert!(!has(&store, "app", "plain").await);
    assert_eq!(all_tags(&store, "app").await, ["docs", "kept"]);
}

pub async fn what_tags_attach_goes_along(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    push_manifest(&store, attached("app", "referrer", "image", "text/plain")).await;
    let [plain, signature, attestation, materials] = attached_tags(&digest("image"));
    let list = NewManifest { tags: vec![tag(&plain)], ..index("app", "list", &["referrer"]) };
    push_manifest(&store, list).await;
    push_manifest(&store, tagged("app", "signed", &[&signature, &attestation])).await;
    push_manifest(&store, tagged("app", "materials", &[&materials])).await;
    let [_, of_another, ..] = attached_tags(&digest("another image"));
    push_manifest(&store, tagged("app", "another", &[&of_another])).await;

    assert!(delete(&store, &repository("app"), &digest("image"), Duration::ZERO, &[]).await);

    assert_eq!(all_tags(&store, "app").await, [of_another]);
    for content in ["image", "list", "referrer", "signed", "materials"] {
        assert!(!has(&store, "app", content).await, "{content}");
    }
    assert!(has(&store, "app", "another").await);
}

pub async fn many_referrers_go_in_batches(store: Store) {
    push_manifest(&store, manifest("app", "image")).await;
    for number in 0..25 {
        push_manifest(&store, attached("app", &format!("{number}"), "image", "text/plain")).await;
    }
    let (app, keep) = (repository("app"), Keep::for_good(Duration::ZERO));
    let deleted = store.delete_manifest(&app, &digest("image"), keep, &[]).await.unwrap();
    let DeleteManifest::Deleted { unfinished: Some(id) } = deleted else { panic!("{deleted:?}") };
    let left = async || {
        let page = store.referrers(&app, &digest("image"), None, None, 100).await.unwrap();
        page.entries.len()
    };

    assert!(store.continue_deletion(id, Duration::ZERO, 10, &[]).await.unwrap());
    assert_eq!(left().await, 15);
    assert!(store.continue_deletion(id, Duration::ZERO, 10, &[]).await.unwrap());
    assert_eq!(left().await, 5);
    finish_deletion(&store, id, &[]).await;
    assert_eq!(left().await, 0);
    assert!(!store.continue_deletion(id, Duration::ZERO, 10, &[]).await.unwrap());
}

pub async fn a_subject_that_is_back_keeps_what_is_left(store: Store) {
    push_manifest(&store, manifest("app", "image")).await;
    push_manifest(&store, attached("app", "sbom", "image", "text/plain")).await;
    let (app, keep) = (repository("app"), Keep::for_good(Duration::ZERO));
    let deleted = store.delete_manifest(&app, &digest("image"), keep, &[]).await.unwrap();
    let DeleteManifest::Deleted { unfinished: Some(id) } = deleted else { panic!("{deleted:?}") };
    push_manifest(&store, manifest("app", "image")).await;

    finish_deletion(&store, id, &[]).await;

    assert!(has(&store, "app", "image").await && has(&store, "app", "sbom").await);
}

pub async fn a_deletion_that_was_left_is_found(store: Store) {
    push_manifest(&store, manifest("app", "image")).await;
    push_manifest(&store, attached("app", "sbom", "image", "text/plain")).await;
    push_manifest(&store, tagged("other", "image", &["v1"])).await;
    let (app, keep) = (repository("app"), Keep::for_good(Duration::ZERO));
    let deleted = store.delete_manifest(&app, &digest("image"), keep, &[]).await.unwrap();
    let DeleteManifest::Deleted { unfinished: Some(one) } = deleted else { panic!("{deleted:?}") };
    let two = store.delete_repository(&repository("other"), Duration::ZERO).await.unwrap().unwrap();

    let open = store.open_deletions(None, 1).await.unwrap();
    assert_eq!(open, [one]);
    assert_eq!(store.open_deletions(Some(one), 10).await.unwrap(), [two]);
    for id in [one, two] {
        finish_deletion(&store, id, &[]).await;
    }

    assert!(store.open_deletions(None, 10).await.unwrap().is_empty());
    assert!(!has(&store, "app", "sbom").await);
    assert!(all_repositories(&store).await.is_empty());
}

pub async fn a_deleted_repository_does_not_exist(store: Store) {
    let layer = push_blob(&store, "app", "layer").await;
    for number in 0..7 {
        let payload = format!("image {number}");
        let tags = [format!("v{number}"), format!("w{number}"), format!("x{number}")];
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let image =
            NewManifest { blobs: vec![(layer.digest, true)], ..tagged("app", &payload, &tags) };
        push_manifest(&store, image).await;
    }
    push_manifest(&store, index("app", "index", &["image 0", "image 1"])).await;
    push_manifest(&store, attached("app", "sbom", "index", "text/plain")).await;
    push_manifest(&store, tagged("app-extra", "image 0", &["v0"])).await;
    assert!(payload(&store, "app", &by_tag("v0")).await.is_some());

    delete_repository(&store, "app", WINDOW).await;

    assert_eq!(all_repositories(&store).await, ["app-extra"]);
    let app = repository("app");
    assert!(!store.repository_exists(&app).await.unwrap());
    assert_eq!(store.tags(&app, None, 10).await.unwrap(), None);
    for reference in [by_tag("v0"), by_tag("x6"), Reference::Digest(digest("index"))] {
        assert_eq!(payload(&store, "app", &reference).await, None, "{reference}");
    }
    assert!(store.delete_repository(&app, WINDOW).await.unwrap().is_none());

    // Its name can be pushed to at once.
    push_manifest(&store, tagged("app", "image 3", &["again"])).await;
    assert_eq!(all_repositories(&store).await, ["app", "app-extra"]);
    assert_eq!(all_tags(&store, "app").await, ["again"]);
}

pub async fn a_repository_is_pushed_to_while_it_goes(store: Store) {
    for number in 0..6 {
        let (payload, tag) = (format!("image {number}"), format!("v{number}"));
        push_manifest(&store, tagged("app", &payload, &[&tag])).await;
    }
    push_manifest(&store, index("app", "old index", &["image 4", "image 5"])).await;
    let app = repository("app");
    let id = store.delete_repository(&app, Duration::ZERO).await.unwrap().unwrap();
    let next = async || store.continue_deletion(id, Duration::ZERO, 2, &[]).await.unwrap();

    // Something new; something that was there, by its old tag; an index of what was there.
    push_manifest(&store, tagged("app", "new", &["v0"])).await;
    push_manifest(&store, tagged("app", "image 1", &["v1"])).await;
    push_manifest(
        &store,
        NewManifest { tags: vec![tag("all")], ..index("app", "new index", &["image 2"]) },
    )
    .await;
    assert!(next().await);
    push_manifest(&store, manifest("app", "image 3")).await;
    while next().await {}

    assert_eq!(all_tags(&store, "app").await, ["all", "v0", "v1"]);
    assert_eq!(payload(&store, "app", &by_tag("v0")).await.unwrap(), "new");
    assert_eq!(payload(&store, "app", &by_tag("v1")).await.unwrap(), "image 1");
    for content in ["new index", "image 2", "image 3"] {
        assert!(has(&store, "app", content).await, "{content}");
    }
    for content in ["old index", "image 0", "image 4", "image 5"] {
        assert!(!has(&store, "app", content).await, "{content}");
    }

    // The next one takes it all.
    delete_repository(&store, "app", Duration::ZERO).await;
    assert!(all_repositories(&store).await.is_empty());
}

pub async fn a_repository_that_does_not_exist_is_not_deleted(store: Store) {
    assert!(store.delete_repository(&repository("app"), WINDOW).await.unwrap().is_none());
    // One with nothing but a blob is one.
    push_blob(&store, "app", "layer").await;
    delete_repository(&store, "app", Duration::ZERO).await;
    assert!(all_repositories(&store).await.is_empty());
    assert!(store.deletions(None, None, 10).await.unwrap().is_empty());
}

pub async fn the_tree_and_the_listeners_are_told(store: Store) {
    push_manifest(&store, tagged("app", "image", &["v1"])).await;
    push_manifest(&store, signature("app", "signature", "image")).await;
    let before = changes(&store).await.len();
    let told = event(&["hook"], EventAction::Delete, "app", "image");
    let events = [told.clone()];

    assert!(delete(&store, &repository("app"), &digest("image"), Duration::ZERO, &events).await);

    let [_, signed, ..] = attached_tags(&digest("image"));
    let app = repository("app");
    let gone =
        |payload| LinkChange::DeleteManifest { repository: app.clone(), digest: digest(payload) };
    let no_tag = |text: &str| LinkChange::DeleteTag { repository: app.clone(), tag: tag(text) };
    let expected = [no_tag("v1"), gone("image"), no_tag(&signed), gone("signature")];
    // Entries of what has gone since are left out.
    let left = changes(&store).await;
    assert_eq!(left[left.len() - 4..], expected, "after {before}");
    let events: Vec<Event> = pending(&store, "hook").await;
    let said: Vec<_> = events.iter().map(|event| (event.digest, event.tag.clone())).collect();
    assert_eq!(
        said,
        [
            (Some(digest("image")), None),
            (None, Some(tag("v1"))),
            (None, Some(tag(&signed))),
            (Some(digest("signature")), None),
        ]
    );
    assert_eq!(events[0], told.event);
    assert!(events.iter().all(|event| event.action == EventAction::Delete));
}

pub async fn the_links_get_the_time_to_have_it_back(store: Store) {
    let layer = blob("layer");
    let push = berth_metadata::FinishedUpload {
        lease: Duration::ZERO,
        ..finished("app", None, layer.clone())
    };
    assert!(finish(&store, push).await);
    let image = NewManifest { blobs: vec![(layer.digest, true)], ..manifest("app", "image") };
    push_manifest(&store, image).await;

    delete_for_a_while(&store, "app", "image").await;

    assert_eq!(review_all(&store, Duration::ZERO).await.unlinked, 0);
    let linked = store.blob(&repository("app"), &layer.digest).await.unwrap().unwrap();
    assert!(linked.leased_for > WINDOW / 2 && linked.leased_for <= WINDOW);
}
