use std::time::{Duration, SystemTime};

use berth_metadata::{
    BlobLocation, FoundBlob, FoundLink, FoundManifest, FoundTag, Mirrored, Misfit, NewManifest,
    Origins, Orphans, UnlinkedReference,
};
use berth_oci::{LinkChange, Reference};

use crate::suite::fixtures::*;

/// A time that is long over, so many seconds after another one.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds)
}

fn found(content: &str) -> FoundBlob {
    let blob = blob(content);
    FoundBlob { digest: blob.digest, size: blob.size, written_at: at(0), location: blob.location }
}

fn link(name: &str, content: &str) -> FoundLink {
    FoundLink {
        repository: repository(name),
        digest: digest(content),
        written_at: at(1),
        in_tree: true,
    }
}

fn found_manifest(manifest: NewManifest, sizes: &[(&str, u64)]) -> FoundManifest {
    let sizes = sizes.iter().map(|(content, size)| (digest(content), *size)).collect();
    FoundManifest { manifest, sizes, written_at: at(2) }
}

fn found_tag(name: &str, tagged: &str, payload: &str, seconds: u64) -> FoundTag {
    FoundTag {
        repository: repository(name),
        tag: tag(tagged),
        digest: digest(payload),
        written_at: at(seconds),
    }
}

async fn adopt_all_tags(upkeep: &Upkeep) -> (u64, Vec<FoundTag>) {
    let (mut new, mut dangling) = (0, Vec::new());
    loop {
        let adopted = upkeep.adopt_tags(2, &Origins::default()).await.unwrap();
        new += adopted.new;
        dangling.extend(adopted.dangling);
        if adopted.looked_at == 0 {
            return (new, dangling);
        }
    }
}

pub async fn a_blob_is_adopted_with_its_first_link(store: Store, upkeep: Upkeep) {
    upkeep.begin_adoption().await.unwrap();
    upkeep.found_blobs(vec![found("one"), found("two")]).await.unwrap();
    assert_eq!(find_blob(&store, &repository("app"), &digest("one")).await, None);

    let links = vec![link("app", "one"), link("app", "two"), link("other", "one")];
    let adopted = upkeep.adopt_links(links, LEASE).await.unwrap();

    assert_eq!((adopted.new, adopted.without_blob), (3, Vec::new()));
    assert_eq!(find_blob(&store, &repository("app"), &digest("one")).await, Some(blob("one")));
    assert_eq!(find_blob(&store, &repository("other"), &digest("two")).await, None);
    assert_eq!(all_repositories(&store).await, ["app", "other"]);
    let linked = store.blob(&repository("app"), &digest("two")).await.unwrap().unwrap();
    assert!(linked.leased_for > LEASE / 2, "{:?}", linked.leased_for);
    assert_eq!(changes(&store).await, [], "the tree has the links already");
}

pub async fn a_link_without_its_blob_is_told(store: Store, upkeep: Upkeep) {
    upkeep.found_blobs(vec![found("one")]).await.unwrap();
    let links = vec![link("gone", "missing"), link("app", "one"), link("app", "missing")];
    let adopted = upkeep.adopt_links(links, LEASE).await.unwrap();
    assert_eq!(adopted.new, 1);
    assert_eq!(adopted.without_blob, [link("gone", "missing"), link("app", "missing")]);
    assert_eq!(all_repositories(&store).await, ["app"]);
}

pub async fn what_is_adopted_again_stays_as_it_is(store: Store, upkeep: Upkeep) {
    let pushed = push_blob(&store, "app", "one").await;
    for _ in 0..2 {
        let elsewhere = BlobLocation("elsewhere".to_owned());
        let found = vec![FoundBlob { location: elsewhere, ..found("one") }];
        upkeep.found_blobs(found).await.unwrap();
        let adopted = upkeep.adopt_links(vec![link("app", "one")], LEASE).await.unwrap();
        assert_eq!((adopted.new, adopted.without_blob), (0, Vec::new()));
        assert_eq!(find_blob(&store, &repository("app"), &digest("one")).await.unwrap(), pushed);
        let manifest = manifest("app", "{}");
        upkeep.adopt_manifests(vec![found_manifest(manifest.clone(), &[])]).await.unwrap();
        let names = vec![(manifest.repository, manifest.digest)];
        assert_eq!(upkeep.unknown_manifests(names).await.unwrap(), []);
    }
    let unknown = vec![(repository("other"), digest("{}")), (repository("app"), digest("x"))];
    assert_eq!(upkeep.unknown_manifests(unknown.clone()).await.unwrap(), unknown);
}

pub async fn bytes_under_removal_are_left_alone(store: Store, upkeep: Upkeep) {
    let bytes = push_blob_for(&store, "app", "one", Duration::ZERO).await;
    store.unlink_blob(&repository("app"), &bytes.digest, Duration::ZERO, &[]).await.unwrap();
    let place = FoundBlob { location: BlobLocation::default(), ..found("one") };
    assert_eq!(store.take_garbage(10, LEASE).await.unwrap().len(), 1);
    upkeep.found_blobs(vec![place]).await.unwrap();
    let adopted = upkeep.adopt_links(vec![link("app", "one")], LEASE).await.unwrap();
    assert_eq!(adopted.without_blob, [link("app", "one")]);
}

pub async fn a_link_that_the_tree_lacks_is_recorded_for_it(store: Store, upkeep: Upkeep) {
    upkeep.found_blobs(vec![found("one")]).await.unwrap();
    let made = FoundLink { in_tree: false, ..link("app", "one") };
    for new in [1, 0] {
        let adopted = upkeep.adopt_links(vec![made.clone()], LEASE).await.unwrap();
        assert_eq!(adopted.new, new);
    }
    let expected = LinkChange::LinkBlob { repository: repository("app"), digest: digest("one") };
    assert_eq!(changes(&store).await, [expected]);
}

pub async fn manifests_come_with_their_references_and_times(store: Store, upkeep: Upkeep) {
    upkeep.found_blobs(vec![found("layer")]).await.unwrap();
    upkeep.adopt_links(vec![link("app", "layer")], Duration::ZERO).await.unwrap();
    let image = NewManifest {
        blobs: vec![(digest("layer"), false), (digest("nowhere"), true)],
        ..manifest("app", "image")
    };
    let note = attached("app", "note", "image", "application/note");
    let index =
        NewManifest { manifests: vec![(digest("image"), false)], ..manifest("app", "index") };
    let adopted = [image, note, index].map(|manifest| found_manifest(manifest, &[])).to_vec();
    upkeep.adopt_manifests(adopted).await.unwrap();
    assert_eq!(upkeep.misfits(10).await.unwrap(), []);

    let by_digest = Reference::Digest(digest("image"));
    assert_eq!(payload(&store, "app", &by_digest).await.as_deref(), Some("image"));
    let page = store.referrers(&repository("app"), &digest("image"), None, None, 10).await;
    assert_eq!(page.unwrap().entries[0].digest, digest("note"));
    let reviewed = review_all(&store, GRACE).await;
    assert_eq!((reviewed.kept, reviewed.unlinked), (1, 0), "the image needs its layer");
    assert_eq!(changes(&store).await, []);
}

pub async fn sizes_that_do_not_fit_are_told(_store: Store, upkeep: Upkeep) {
    upkeep.found_blobs(["layer", "config", "other"].map(found).to_vec()).await.unwrap();
    let sizes = [("layer", 99), ("other", 5), ("nowhere", 1), ("config", 3)];
    let image = found_manifest(manifest("app", "image"), &sizes);
    upkeep.adopt_manifests(vec![image]).await.unwrap();
    let misfit =
        |name: &str, expected| Misfit { digest: digest(name), expected, found: name.len() as u64 };
    let mut expected = [misfit("layer", 99), misfit("config", 3)];
    expected.sort_by_key(|misfit| misfit.digest.hex());

    upkeep.begin_adoption().await.unwrap();
    let first = upkeep.misfits(1).await.unwrap();
    assert_eq!(first, expected[..1], "the manifest is known to the next pass");
    upkeep.forget_misfits(first).await.unwrap();
    assert_eq!(upkeep.misfits(10).await.unwrap(), expected[1..]);
    upkeep.forget_misfits(expected.to_vec()).await.unwrap();
    assert_eq!(upkeep.misfits(10).await.unwrap(), []);
}

pub async fn tags_wait_for_their_manifests(store: Store, upkeep: Upkeep) {
    let tags = ["1", "2", "3"].map(|name| found_tag("app", name, "image", 5)).to_vec();
    upkeep.found_tags(tags).await.unwrap();
    upkeep.found_tags(vec![found_tag("app", "lost", "nowhere", 5)]).await.unwrap();
    upkeep.adopt_manifests(vec![found_manifest(manifest("app", "image"), &[])]).await.unwrap();

    let (new, dangling) = adopt_all_tags(&upkeep).await;

    assert_eq!((new, dangling), (3, vec![found_tag("app", "lost", "nowhere", 5)]));
    assert_eq!(all_tags(&store, "app").await, ["1", "2", "3"]);
    let uses = store.tag_uses(&repository("app"), None, 1).await.unwrap();
    assert_eq!(uses.entries[0].pushed_at, at(5));
    assert_eq!(changes(&store).await, []);
}

pub async fn a_tag_that_is_newer_here_stays(store: Store, upkeep: Upkeep) {
    push_manifest(&store, tagged("app", "ours", &["latest"])).await;
    upkeep.adopt_manifests(vec![found_manifest(manifest("app", "theirs"), &[])]).await.unwrap();
    upkeep.found_tags(vec![found_tag("app", "latest", "theirs", 5)]).await.unwrap();
    assert_eq!(adopt_all_tags(&upkeep).await.0, 0);
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.as_deref(), Some("ours"));
}

pub async fn a_tag_that_was_moved_there_moves(store: Store, upkeep: Upkeep) {
    let manifests = ["old", "new"].map(|text| found_manifest(manifest("app", text), &[]));
    upkeep.adopt_manifests(manifests.to_vec()).await.unwrap();
    for (text, seconds, moved) in [("old", 5, 1), ("new", 6, 1), ("new", 6, 0), ("old", 5, 0)] {
        upkeep.found_tags(vec![found_tag("app", "latest", text, seconds)]).await.unwrap();
        assert_eq!(adopt_all_tags(&upkeep).await.0, moved, "{text} {seconds}");
    }
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.as_deref(), Some("new"));
}

pub async fn a_tag_that_was_deleted_here_stays_deleted(store: Store, upkeep: Upkeep) {
    upkeep.adopt_manifests(vec![found_manifest(manifest("app", "image"), &[])]).await.unwrap();
    upkeep.found_tags(vec![found_tag("app", "latest", "image", 5)]).await.unwrap();
    adopt_all_tags(&upkeep).await;
    assert!(store.delete_tag(&repository("app"), &tag("latest"), LEASE, &[]).await.unwrap());
    upkeep.found_tags(vec![found_tag("app", "latest", "image", 5)]).await.unwrap();
    assert_eq!(adopt_all_tags(&upkeep).await.0, 0);
    assert_eq!(all_tags(&store, "app").await, Vec::<String>::new());
}

pub async fn references_without_a_link_are_found(store: Store, upkeep: Upkeep) {
    push_blob(&store, "app", "linked").await;
    let image = |text: &str, blobs: &[&str]| NewManifest {
        blobs: blobs.iter().map(|content| (digest(content), false)).collect(),
        ..manifest("app", text)
    };
    let manifests = vec![
        found_manifest(image("one", &["linked"]), &[]),
        found_manifest(image("two", &["linked", "lost"]), &[]),
        found_manifest(image("three", &[]), &[]),
    ];
    upkeep.adopt_manifests(manifests).await.unwrap();
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = upkeep.unlinked_references(after, 1).await.unwrap();
        all.extend(page.references);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let (repository, manifest, blob) = (repository("app"), digest("two"), digest("lost"));
    assert_eq!(all, [UnlinkedReference { repository, manifest, blob }]);
}

pub async fn what_nothing_names_is_counted(_store: Store, upkeep: Upkeep) {
    upkeep.found_blobs(["linked", "image", "alone", "left"].map(found).to_vec()).await.unwrap();
    upkeep.adopt_links(vec![link("app", "linked")], LEASE).await.unwrap();
    upkeep.adopt_manifests(vec![found_manifest(manifest("app", "image"), &[])]).await.unwrap();
    assert_eq!(upkeep.orphans().await.unwrap(), Orphans { count: 2, bytes: 9 });
    upkeep.end_adoption().await.unwrap();
    assert_eq!(upkeep.orphans().await.unwrap(), Orphans::default());
}

pub async fn a_pass_that_broke_off_is_forgotten(store: Store, upkeep: Upkeep) {
    upkeep.found_blobs(vec![found("one")]).await.unwrap();
    upkeep.found_tags(vec![found_tag("app", "latest", "image", 5)]).await.unwrap();
    upkeep.begin_adoption().await.unwrap();
    let adopted = upkeep.adopt_links(vec![link("app", "one")], LEASE).await.unwrap();
    assert_eq!(adopted.without_blob.len(), 1);
    assert_eq!(adopt_all_tags(&upkeep).await, (0, Vec::new()));
    assert_eq!(all_repositories(&store).await, Vec::<String>::new());
}

pub async fn what_a_mirror_has_kept_is_known_to_be_fetched(store: Store, upkeep: Upkeep) {
    let fetched = || Mirrored::Fetched { upstream: "hub".to_owned(), prefix: "cache".to_owned() };
    let origins = Origins::new(move |name| name.as_str().starts_with("cache/").then(fetched));
    let app = repository("cache/app");
    push_manifest(&store, tagged("cache/app", "pushed", &["ours"])).await;
    let kept = NewManifest { mirrored: origins.of(&app), ..manifest("cache/app", "kept") };
    let manifests = [kept, manifest("own/app", "kept")].map(|one| found_manifest(one, &[]));
    upkeep.adopt_manifests(manifests.to_vec()).await.unwrap();
    let tags = [("cache/app", "theirs"), ("cache/app", "ours"), ("own/app", "theirs")];
    let tags = tags.map(|(name, tag)| found_tag(name, tag, "kept", 5)).to_vec();
    upkeep.found_tags(tags).await.unwrap();

    assert_eq!(upkeep.adopt_tags(10, &origins).await.unwrap().new, 2);

    let known = store.mirrored_tag(&app, &tag("theirs")).await.unwrap().unwrap();
    assert_eq!((known.digest, &*known.upstream), (digest("kept"), "hub"));
    assert!(known.age > Duration::from_secs(3600), "it was not looked at: {:?}", known.age);
    for (name, tagged) in [(&app, "ours"), (&repository("own/app"), "theirs")] {
        assert_eq!(store.mirrored_tag(name, &tag(tagged)).await.unwrap(), None, "{name}");
    }
    assert_eq!(store.evict_manifests("cache", LEASE, 10).await.unwrap(), 0, "it is wanted yet");
    assert_eq!(store.evict_manifests("cache", Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(all_tags(&store, "cache/app").await, ["ours"]);
    assert_eq!(all_tags(&store, "own/app").await, ["theirs"]);
}
