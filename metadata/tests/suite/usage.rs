use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use berth_metadata::{MountSource, NewManifest, Usage};
use berth_oci::RepositoryPrefix;
use tokio::task::JoinSet;

use super::fixtures::*;

const NOW: Duration = Duration::ZERO;

fn prefix(text: &str) -> RepositoryPrefix {
    text.parse().unwrap()
}

async fn count(store: &Store, text: &str) {
    store.count_usage(&[prefix(text)]).await.unwrap();
}

async fn usage(store: &Store, text: &str) -> Usage {
    store.usage(&[prefix(text)], None).await.unwrap().remove(0)
}

async fn bytes(store: &Store, text: &str) -> u64 {
    usage(store, text).await.bytes
}

async fn unlink(store: &Store, name: &str, content: &str) {
    let unlinked = store.unlink_blob(&repository(name), &digest(content), NOW, &[]).await;
    assert!(unlinked.unwrap(), "{name} {content}");
}

pub async fn a_blob_counts_once_for_a_prefix(store: Store) {
    count(&store, "team").await;
    for name in ["team", "team/a", "team/a", "teams", "other/team"] {
        push_blob(&store, name, "12345").await;
    }
    let target = repository("team/mounted");
    let mounted = store.mount_blob(&target, MountSource::Any, &digest("12345"), LEASE, &[]).await;
    assert!(mounted.unwrap().is_some());
    assert_eq!(bytes(&store, "team").await, 5);

    for name in ["team", "team/mounted"] {
        unlink(&store, name, "12345").await;
        assert_eq!(bytes(&store, "team").await, 5, "{name}");
    }
    unlink(&store, "team/a", "12345").await;
    assert_eq!(bytes(&store, "team").await, 0);
}

pub async fn what_is_there_before_it_is_counted_counts(store: Store) {
    for name in ["team/a", "team/b", "other"] {
        push_blob(&store, name, "123").await;
        push_manifest(&store, tagged(name, name, &["one", "two"])).await;
    }
    for (text, bytes, names) in [("team", 3, 2), ("*", 3, 3), ("team/b", 3, 1), ("none", 0, 0)] {
        count(&store, text).await;
        let found = usage(&store, text).await;
        let expected = Usage {
            prefix: prefix(text),
            bytes,
            manifests: names,
            tags: 2 * names,
            has_blob: false,
        };
        assert_eq!(found, expected);
    }
    // Counting again changes nothing.
    count(&store, "team").await;
    assert_eq!(bytes(&store, "team").await, 3);
}

pub async fn a_prefix_that_is_not_counted_is_left_out(store: Store) {
    count(&store, "b").await;
    let asked = ["a", "b", "c"].map(prefix);
    let found = store.usage(&asked, None).await.unwrap();
    assert_eq!(found.iter().map(|usage| usage.prefix.to_string()).collect::<Vec<_>>(), ["b"]);
}

pub async fn whether_a_prefix_has_a_blob_is_told(store: Store) {
    for text in ["team", "other"] {
        count(&store, text).await;
    }
    push_blob(&store, "team/a", "layer").await;
    let asked = ["other", "team"].map(prefix);
    let found = store.usage(&asked, Some(&digest("layer"))).await.unwrap();
    assert_eq!(found.iter().map(|usage| usage.has_blob).collect::<Vec<_>>(), [false, true]);
}

pub async fn manifests_and_tags_are_counted(store: Store) {
    count(&store, "team").await;
    let counted = async || {
        let Usage { manifests, tags, .. } = usage(&store, "team").await;
        (manifests, tags)
    };
    push_manifest(&store, tagged("team/a", "one", &["x", "y"])).await;
    push_manifest(&store, tagged("team/a", "one", &["x"])).await;
    assert_eq!(counted().await, (1, 2));
    // A tag that moves is no other tag.
    push_manifest(&store, tagged("team/a", "two", &["x"])).await;
    assert_eq!(counted().await, (2, 2));
    assert!(store.delete_tag(&repository("team/a"), &tag("x"), Duration::ZERO, &[]).await.unwrap());
    assert_eq!(counted().await, (2, 1));
    // Its last tag goes with it.
    let team = repository("team/a");
    assert!(delete(&store, &team, &digest("one"), NOW, &[]).await);
    assert_eq!(counted().await, (1, 0));
}

pub async fn what_is_collected_no_longer_counts(store: Store) {
    count(&store, "team").await;
    let layer = push_blob_for(&store, "team/a", "layer", NOW).await;
    let needed = push_blob_for(&store, "team/a", "needed", NOW).await;
    let blobs = vec![(needed.digest, true)];
    push_manifest(&store, NewManifest { blobs, ..manifest("team/a", "manifest") }).await;
    assert_eq!(bytes(&store, "team").await, layer.size + needed.size);
    review_all(&store, NOW).await;
    assert_eq!(bytes(&store, "team").await, needed.size);
}

async fn change(store: Store, name: &str, number: u32, unlinks: bool) {
    let content = format!("blob {number}");
    if unlinks {
        store.unlink_blob(&repository(name), &digest(&content), NOW, &[]).await.unwrap();
    } else {
        push_blob_for(&store, name, &content, LEASE).await;
    }
}

/// Pushes and unlinks of all kinds at the same time, then all are compared with a plain count.
pub async fn numbers_stay_true_under_concurrent_changes(store: Store) {
    const NAMES: [&str; 4] = ["team/a", "team/b", "team/b/c", "other"];
    for text in ["team", "team/b", "*"] {
        count(&store, text).await;
    }
    // More changes than stand beside the numbers, in rounds that meet at the same blobs.
    for round in 0..40u32 {
        let mut changes = JoinSet::new();
        for (place, name) in NAMES.into_iter().enumerate() {
            for number in 0..5u32 {
                let unlinks = (round + number + place as u32).is_multiple_of(3);
                changes.spawn(change(store.clone(), name, number, unlinks));
            }
        }
        changes.join_all().await;
    }
    let mut held: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in NAMES {
        for number in 0..5 {
            let content = format!("blob {number}");
            if find_blob(&store, &repository(name), &digest(&content)).await.is_some() {
                held.entry(name).or_default().insert(content);
            }
        }
    }
    for text in ["team", "team/b", "*"] {
        let covered = prefix(text);
        let blobs: BTreeSet<&String> = held
            .iter()
            .filter(|(name, _)| covered.covers(&repository(name)))
            .flat_map(|(_, blobs)| blobs)
            .collect();
        let expected: u64 = blobs.iter().map(|content| content.len() as u64).sum();
        // Folding, which the first question may cause, changes nothing.
        assert_eq!([bytes(&store, text).await, bytes(&store, text).await], [expected; 2], "{text}");
    }
}
