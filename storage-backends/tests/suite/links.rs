//! The tree that `registry:2` reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use berth_oci::{Digest, LinkChange, RepositoryName, Tag};
use berth_storage_backends::LinkTree;
use bytes::Bytes;

use super::fixtures::{Opened, bytes, digest, put};

/// Every file under `docker/registry/v2` with its text, and every empty folder with none.
fn tree(opened: &Opened) -> BTreeMap<String, Option<String>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Option<String>>) {
        let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()).collect();
        if entries.is_empty() {
            found.insert(name(folder) + "/", None);
        }
        for entry in entries {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                found.insert(name(&path), Some(text));
            }
        }
    }
    let root = opened.root().join("docker/registry/v2");
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found);
    found
}

/// The same tree written down by hand: `path`, or `path -> text`.
fn expected(lines: &[String]) -> BTreeMap<String, Option<String>> {
    lines
        .iter()
        .map(|line| match line.split_once(" -> ") {
            Some((path, text)) => (path.to_owned(), Some(text.to_owned())),
            None => (line.clone(), None),
        })
        .collect()
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn link_blob(repository: &str, digest: &Digest) -> LinkChange {
    LinkChange::LinkBlob { repository: name(repository), digest: *digest }
}

fn unlink_blob(repository: &str, digest: &Digest) -> LinkChange {
    LinkChange::UnlinkBlob { repository: name(repository), digest: *digest }
}

fn put_manifest(repository: &str, payload: &Bytes) -> LinkChange {
    let digest = digest(payload);
    LinkChange::PutManifest { repository: name(repository), digest, payload: payload.clone() }
}

fn delete_manifest(repository: &str, payload: &Bytes) -> LinkChange {
    LinkChange::DeleteManifest { repository: name(repository), digest: digest(payload) }
}

fn set_tag(repository: &str, text: &str, payload: &Bytes) -> LinkChange {
    LinkChange::SetTag { repository: name(repository), tag: tag(text), digest: digest(payload) }
}

fn delete_tag(repository: &str, text: &str) -> LinkChange {
    LinkChange::DeleteTag { repository: name(repository), tag: tag(text) }
}

fn links(opened: &Opened) -> &dyn LinkTree {
    opened.store.link_tree().expect("a driver that keeps links")
}

/// A layer, a manifest, and the changes that a push of both under a tag makes.
async fn pushed(opened: &Opened, repository: &str) -> (Bytes, Bytes, Vec<LinkChange>) {
    let (layer, manifest) = (Bytes::from_static(b"layer"), Bytes::from_static(b"{}"));
    put(&opened.store, &layer).await;
    let changes = vec![
        link_blob(repository, &digest(&layer)),
        put_manifest(repository, &manifest),
        set_tag(repository, "1.0", &manifest),
    ];
    (layer, manifest, changes)
}

/// What `registry:2` has on its disk after such a push.
fn files_of_push(repository: &str, layer: &[u8], manifest: &[u8]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (layer_digest, manifest_digest) = (digest(layer), digest(manifest));
    let (layer_hex, manifest_hex) = (layer_digest.hex(), manifest_digest.hex());
    let at = format!("repositories/{repository}");
    vec![
        format!("blobs/sha256/{}/{layer_hex}/data -> {}", &layer_hex[..2], text(layer)),
        format!("blobs/sha256/{}/{manifest_hex}/data -> {}", &manifest_hex[..2], text(manifest)),
        format!("{at}/_layers/sha256/{layer_hex}/link -> {layer_digest}"),
        format!("{at}/_manifests/revisions/sha256/{manifest_hex}/link -> {manifest_digest}"),
        format!("{at}/_manifests/tags/1.0/current/link -> {manifest_digest}"),
        format!("{at}/_manifests/tags/1.0/index/sha256/{manifest_hex}/link -> {manifest_digest}"),
    ]
}

pub async fn the_tree_is_that_of_registry_2(opened: Opened) {
    let (layer, manifest, changes) = pushed(&opened, "team/app").await;
    links(&opened).apply(changes).await.unwrap();
    assert_eq!(tree(&opened), expected(&files_of_push("team/app", &layer, &manifest)));
}

pub async fn applying_changes_again_changes_nothing(opened: Opened) {
    let (layer, manifest, changes) = pushed(&opened, "app").await;
    links(&opened).apply(changes.clone()).await.unwrap();
    links(&opened).apply(changes.clone()).await.unwrap();
    assert_eq!(tree(&opened), expected(&files_of_push("app", &layer, &manifest)));

    let deletions = vec![
        delete_tag("app", "1.0"),
        delete_manifest("app", &manifest),
        unlink_blob("app", &digest(&layer)),
    ];
    links(&opened).apply(deletions.clone()).await.unwrap();
    let after = tree(&opened);
    links(&opened).apply(deletions.clone()).await.unwrap();
    assert_eq!(tree(&opened), after);
    // A crash makes the whole history be applied again.
    links(&opened).apply([changes, deletions].concat()).await.unwrap();
    assert_eq!(tree(&opened), after);
}

pub async fn changes_are_applied_in_their_order(opened: Opened) {
    let (layer, manifest, changes) = pushed(&opened, "app").await;
    let other = Bytes::from_static(b"{\"other\":1}");
    let batch = vec![
        unlink_blob("app", &digest(&layer)),
        link_blob("app", &digest(&layer)),
        put_manifest("app", &other),
        set_tag("app", "1.0", &other),
        delete_tag("app", "1.0"),
        delete_manifest("app", &other),
        set_tag("app", "1.0", &manifest),
    ];
    links(&opened).apply([changes, batch].concat()).await.unwrap();
    let other_hex = digest(&other).hex();
    let mut files = files_of_push("app", &layer, &manifest);
    // The collector takes the bytes of a deleted manifest, not the links.
    files.push(format!("blobs/sha256/{}/{other_hex}/data -> {{\"other\":1}}", &other_hex[..2]));
    assert_eq!(tree(&opened), expected(&files));
}

pub async fn a_moved_tag_keeps_its_history(opened: Opened) {
    let (_, old, changes) = pushed(&opened, "app").await;
    let new = Bytes::from_static(b"{\"new\":1}");
    let moved = vec![put_manifest("app", &new), set_tag("app", "1.0", &new)];
    links(&opened).apply([changes, moved].concat()).await.unwrap();
    let tags = "repositories/app/_manifests/tags/1.0";
    let found = tree(&opened);
    let text = |path: String| found.get(&path).cloned().flatten();
    assert_eq!(text(format!("{tags}/current/link")), Some(digest(&new).to_string()));
    for manifest in [&old, &new] {
        let digest = digest(manifest);
        let path = format!("{tags}/index/sha256/{}/link", digest.hex());
        assert_eq!(text(path), Some(digest.to_string()));
    }
}

pub async fn deletions_leave_no_empty_folders(opened: Opened) {
    let (layer, manifest, changes) = pushed(&opened, "app").await;
    links(&opened).apply(changes).await.unwrap();
    let deletions = vec![
        delete_tag("app", "1.0"),
        delete_manifest("app", &manifest),
        unlink_blob("app", &digest(&layer)),
    ];
    links(&opened).apply(deletions).await.unwrap();
    let left: Vec<_> =
        tree(&opened).into_keys().filter(|path| path.starts_with("repositories/")).collect();
    // The repository is still one: registry:2 knows it by these folders.
    assert_eq!(left, ["repositories/app/_layers/", "repositories/app/_manifests/tags/"]);
}

pub async fn repositories_inside_of_others_are_left_alone(opened: Opened) {
    let (layer, manifest, outer) = pushed(&opened, "team").await;
    let (_, _, inner) = pushed(&opened, "team/app").await;
    links(&opened).apply([outer, inner].concat()).await.unwrap();
    let deletions = vec![
        delete_tag("team", "1.0"),
        delete_manifest("team", &manifest),
        unlink_blob("team", &digest(&layer)),
    ];
    links(&opened).apply(deletions).await.unwrap();
    let found = tree(&opened);
    for (path, text) in expected(&files_of_push("team/app", &layer, &manifest)) {
        assert_eq!(found.get(&path), Some(&text), "{path}");
    }
}

pub async fn manifests_are_kept_among_the_blobs_and_not_written_over(opened: Opened) {
    let manifest = bytes(1, 1000);
    let location = put(&opened.store, &manifest).await;
    let open = opened.store.open(&digest(&manifest), &location).await.unwrap();
    links(&opened).apply(vec![put_manifest("app", &manifest)]).await.unwrap();
    let again = opened.store.open(&digest(&manifest), &location).await.unwrap();
    let inode = |blob: &berth_storage_backends::OpenBlob| match &blob.content {
        berth_storage_backends::BlobContent::File(file) => {
            std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap())
        }
        other => panic!("{other:?} is not a file"),
    };
    assert_eq!(inode(&open), inode(&again), "the same file");
}
