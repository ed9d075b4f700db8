//! What a retention policy makes of times that lie far back, on the engines whose rows can be changed from
//! beside.

use std::time::Duration;

use berth_metadata::{Keep, UntaggedLook};
use berth_oci::Digest;

use super::fixtures::*;

/// All that was pushed was pushed long ago.
pub const LONG_AGO: &str = "
    UPDATE manifests SET created_at = 1;
    UPDATE settings SET value = '2' WHERE name = 'tags_watched_since'";

pub async fn push(store: &Store) {
    push_manifest(store, manifest("app", "never tagged")).await;
    push_manifest(store, manifest("app", "pushed again")).await;
    push_manifest(store, tagged("app", "left", &["moving"])).await;
    push_manifest(store, tagged("app", "deleted", &["a"])).await;
}

/// Days count from the last tag, and from the last push of a manifest without one.
pub async fn only_what_was_untagged_long_ago_expires(store: &Store) {
    push_manifest(store, tagged("app", "now", &["moving"])).await;
    assert!(store.delete_tag(&repository("app"), &tag("a"), Duration::ZERO, &[]).await.unwrap());
    push_manifest(store, manifest("app", "pushed again")).await;

    assert_eq!(expire(store, Duration::from_secs(3600)).await, sorted(&["never tagged"]));
    let rest = sorted(&["left", "deleted", "pushed again"]);
    assert_eq!(expire(store, Duration::ZERO).await, rest);
}

async fn expire(store: &Store, age: Duration) -> Vec<Digest> {
    let look = UntaggedLook { after: None, limit: 100, age, keep: Keep::default(), dry_run: false };
    store.expire_untagged(&repository("app"), look, &[]).await.unwrap().manifests
}

fn sorted(payloads: &[&str]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = payloads.iter().map(digest).collect();
    digests.sort();
    digests
}
