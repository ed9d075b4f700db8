use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use berth_metadata::{
    Event, EventAction, EventId, FinishedUpload, MountSource, NewEvent, NewManifest, PutManifest,
    RecordedEvent,
};
use berth_oci::UploadId;
use uuid::Uuid;

use super::fixtures::*;

/// An event of something with these bytes, for an endpoint or several.
pub fn event(endpoints: &[&str], action: EventAction, name: &str, content: &str) -> NewEvent {
    let event = Event {
        uuid: Uuid::new_v4(),
        action,
        repository: repository(name),
        digest: Some(digest(content)),
        tag: None,
        media_type: Some("application/octet-stream".to_owned()),
        size: Some(content.len() as u64),
        from_repository: None,
        descriptors: None,
        origin: Arc::from(r#"{"id":"\"quoted\""}"#),
    };
    let endpoints = endpoints.iter().map(|name| Arc::from(*name)).collect();
    NewEvent { endpoints, event }
}

fn push(content: &str) -> NewEvent {
    event(&["hook"], EventAction::Push, "app", content)
}

fn told(events: &[RecordedEvent]) -> Vec<Event> {
    events.iter().map(|recorded| recorded.event.clone()).collect()
}

pub async fn pending(store: &Store, endpoint: &str) -> Vec<Event> {
    let events = store.events(endpoint, 1000).await.unwrap();
    assert!(events.is_sorted_by_key(|event| event.id));
    told(&events)
}

fn with_event(content: &str, event: &NewEvent) -> FinishedUpload {
    FinishedUpload { events: vec![event.clone()], ..finished("app", None, blob(content)) }
}

pub async fn each_change_records_its_events(store: Store) {
    let (app, other) = (repository("app"), repository("other"));
    let before = store.now().await.unwrap();
    let mut expected = Vec::new();

    let pushed = push("layer");
    assert!(finish(&store, with_event("layer", &pushed)).await);
    expected.push(pushed.event);

    let mut stored = push("image");
    stored.event.tag = Some(tag("v1"));
    stored.event.descriptors = Some(Arc::from(r#"[{"size":1}]"#));
    let image = NewManifest { events: vec![stored.clone()], ..tagged("app", "image", &["v1"]) };
    push_manifest(&store, image).await;
    expected.push(stored.event);

    let mut mounted = event(&["hook"], EventAction::Mount, "other", "layer");
    (mounted.event.size, mounted.event.from_repository) = (None, Some(app.clone()));
    let (source, events) = (MountSource::Repository(&app), [mounted.clone()]);
    let mount = store.mount_blob(&other, source, &digest("layer"), LEASE, &events).await;
    assert!(mount.unwrap().is_some());
    expected.push(Event { size: Some(5), ..mounted.event });

    let untagged = event(&["hook"], EventAction::Delete, "app", "image");
    assert!(store.delete_tag(&app, &tag("v1"), Duration::ZERO, from_ref(&untagged)).await.unwrap());
    expected.push(untagged.event);

    let unlinked = event(&["hook"], EventAction::Delete, "app", "layer");
    assert!(store.unlink_blob(&app, &digest("layer"), GRACE, from_ref(&unlinked)).await.unwrap());
    expected.push(unlinked.event);

    let deleted = event(&["hook"], EventAction::Delete, "app", "image");
    let events = from_ref(&deleted);
    assert!(delete(&store, &app, &digest("image"), Duration::ZERO, events).await);
    expected.push(deleted.event);

    let pulled = [push("a"), push("b")];
    store.record_events(pulled.to_vec()).await.unwrap();
    expected.extend(pulled.map(|pulled| pulled.event));

    assert_eq!(pending(&store, "hook").await, expected);
    let after = store.now().await.unwrap();
    for event in store.events("hook", 1000).await.unwrap() {
        assert!((before..=after).contains(&event.at), "{event:?}");
    }
}

pub async fn tags_that_go_with_a_manifest_have_events_of_their_own(store: Store) {
    push_manifest(&store, tagged("app", "image", &["b", "a"])).await;
    let deleted = event(&["hook"], EventAction::Delete, "app", "image");
    let (app, events) = (repository("app"), [deleted.clone()]);
    assert!(delete(&store, &app, &digest("image"), Duration::ZERO, &events).await);

    let told = pending(&store, "hook").await;

    assert_eq!(told[0], deleted.event);
    let mut tags: Vec<_> = told[1..].iter().map(|event| event.tag.clone().unwrap()).collect();
    tags.sort();
    assert_eq!(tags, [tag("a"), tag("b")]);
    for event in &told[1..] {
        assert_eq!((event.action, event.digest, event.size), (EventAction::Delete, None, None));
        assert_ne!(event.uuid, deleted.event.uuid);
    }
}

pub async fn what_is_refused_records_nothing(store: Store) {
    let app = repository("app");
    let gone = FinishedUpload {
        events: vec![push("layer")],
        ..finished("app", Some(UploadId::random()), blob("layer"))
    };
    assert!(!finish(&store, gone).await);
    let lacking = NewManifest {
        blobs: vec![(digest("layer"), true)],
        events: vec![push("image")],
        ..manifest("app", "image")
    };
    assert!(matches!(store.put_manifest(lacking).await.unwrap(), PutManifest::Missing(_)));
    let none = digest("none");
    let events = [push("none")];
    let mount = store.mount_blob(&app, MountSource::Any, &none, LEASE, &events);
    assert!(mount.await.unwrap().is_none());
    assert!(!store.unlink_blob(&app, &none, GRACE, &events).await.unwrap());
    assert!(!delete(&store, &app, &none, Duration::ZERO, &events).await);
    assert!(!store.delete_tag(&app, &tag("none"), Duration::ZERO, &events).await.unwrap());

    assert!(pending(&store, "hook").await.is_empty());
    assert!(store.pending_events().await.unwrap().is_empty());
}

pub async fn each_endpoint_is_told_on_its_own(store: Store) {
    let (both, second) = (
        event(&["one", "two"], EventAction::Push, "app", "both"),
        event(&["two"], EventAction::Push, "app", "second"),
    );
    store.record_events(vec![both.clone(), second.clone()]).await.unwrap();
    let counts = [("one".to_owned(), 1), ("two".to_owned(), 2)];
    assert_eq!(store.pending_events().await.unwrap(), counts);
    assert_eq!(pending(&store, "one").await, from_ref(&both.event));
    assert_eq!(pending(&store, "two").await, [both.event.clone(), second.event.clone()]);
    assert!(pending(&store, "three").await.is_empty());

    let done = store.events("two", 1).await.unwrap()[0].id;
    store.events_done(&[done]).await.unwrap();
    store.events_done(&[done]).await.unwrap();
    store.events_done(&[]).await.unwrap();

    assert_eq!(pending(&store, "one").await, [both.event]);
    assert_eq!(pending(&store, "two").await, [second.event]);
}

pub async fn places_of_events_are_never_used_again(store: Store) {
    store.record_events(vec![push("one")]).await.unwrap();
    let EventId(first) = store.events("hook", 1).await.unwrap()[0].id;
    store.events_done(&[EventId(first)]).await.unwrap();
    store.record_events(vec![push("two")]).await.unwrap();
    assert!(store.events("hook", 1).await.unwrap()[0].id > EventId(first));
}

pub async fn events_that_waited_too_long_are_dropped(store: Store) {
    let events: Vec<_> = (0..5).map(|n| push(&format!("old {n}"))).collect();
    store.record_events(events.clone()).await.unwrap();
    let last = store.events("hook", 10).await.unwrap()[4].at;
    let soon = last + Duration::from_secs(1);

    assert_eq!(store.expire_events(last - Duration::from_secs(60), 10).await.unwrap(), []);
    assert_eq!(store.expire_events(soon, 2).await.unwrap(), [("hook".to_owned(), 2)]);
    let left: Vec<_> = events[2..].iter().map(|new| new.event.clone()).collect();
    assert_eq!(pending(&store, "hook").await, left);

    store.record_events(vec![event(&["two"], EventAction::Pull, "app", "x")]).await.unwrap();
    assert_eq!(store.trim_events("hook", 2).await.unwrap(), 2);
    assert_eq!(pending(&store, "hook").await, left[2..]);
    assert_eq!(store.trim_events("hook", 10).await.unwrap(), 1);
    assert_eq!(store.pending_events().await.unwrap(), [("two".to_owned(), 1)]);
}

pub async fn waiting_ends_when_an_event_comes(store: Store) {
    let seen = tokio::spawn({
        let store = store.clone();
        async move {
            let mut seen = 0;
            while seen < 3 {
                store.events_filled().await;
                let events = store.events("hook", 100).await.unwrap();
                seen += events.len();
                let done: Vec<_> = events.iter().map(|event| event.id).collect();
                store.events_done(&done).await.unwrap();
            }
        }
    });
    for n in 0..3 {
        let content = format!("layer {n}");
        assert!(finish(&store, with_event(&content, &push(&content))).await);
    }
    tokio::time::timeout(Duration::from_secs(60), seen).await.unwrap().unwrap();
}
