use std::time::Duration;

use berth_metadata::{NewManifest, PutManifest};
use berth_oci::{Algorithm, Digest, Hasher, Reference, media_type};

use super::fixtures::*;

pub async fn a_manifest_is_read_by_tag_and_by_digest(store: Store) {
    push_manifest(&store, tagged("team/app", "one", &["latest", "1.0"])).await;

    let references = [by_tag("latest"), by_tag("1.0"), Reference::Digest(digest("one"))];
    for reference in references.iter().chain(&references) {
        let found = store.manifest(&repository("team/app"), reference).await.unwrap().unwrap();
        assert_eq!(found.digest, digest("one"));
        assert_eq!(found.media_type, media_type::OCI_IMAGE_MANIFEST);
        assert_eq!(found.payload, "one");
        assert!(store.manifest(&repository("team/app2"), reference).await.unwrap().is_none());
    }
    assert_eq!(payload(&store, "team/app", &by_tag("Latest")).await, None);
    assert_eq!(payload(&store, "team/app", &Reference::Digest(digest("two"))).await, None);
}

pub async fn missing_references_are_all_named_and_nothing_is_written(store: Store) {
    let there = push_blob(&store, "app", "there").await.digest;
    push_blob(&store, "other", "elsewhere").await;
    let image = NewManifest {
        blobs: vec![
            (digest("z"), true),
            (there, true),
            (digest("elsewhere"), true),
            (digest("z"), true),
            (digest("optional"), false),
        ],
        manifests: vec![(digest("m"), true), (digest("z"), true), (digest("sparse"), false)],
        ..tagged("app", "index", &["latest"])
    };
    let entries = changes(&store).await.len();

    let outcome = store.put_manifest(image.clone()).await.unwrap();

    let missing = vec![digest("z"), digest("elsewhere"), digest("m")];
    assert_eq!(outcome, PutManifest::Missing(missing));
    assert_eq!(payload(&store, "app", &by_tag("latest")).await, None);
    assert_eq!(payload(&store, "app", &Reference::Digest(digest("index"))).await, None);
    assert_eq!(changes(&store).await.len(), entries);

    let nowhere = NewManifest { repository: repository("new"), ..image };
    let PutManifest::Missing(_) = store.put_manifest(nowhere).await.unwrap() else {
        panic!("nothing is in the new repository");
    };
    assert!(!store.repository_exists(&repository("new")).await.unwrap());
}

pub async fn references_that_are_not_required_may_be_missing(store: Store) {
    let image = NewManifest {
        blobs: vec![(digest("foreign layer"), false)],
        manifests: vec![(digest("sparse"), false)],
        ..manifest("app", "image")
    };

    push_manifest(&store, image).await;

    assert!(store.repository_exists(&repository("app")).await.unwrap());
}

pub async fn a_manifest_of_another_repository_does_not_count(store: Store) {
    push_manifest(&store, manifest("other", "child")).await;
    let index =
        NewManifest { manifests: vec![(digest("child"), true)], ..manifest("app", "index") };
    assert_eq!(
        store.put_manifest(index.clone()).await.unwrap(),
        PutManifest::Missing(vec![digest("child")])
    );

    push_manifest(&store, manifest("app", "child")).await;

    push_manifest(&store, index).await;
}

pub async fn a_thousand_references_are_checked(store: Store) {
    let digests: Vec<Digest> = (0..1000).map(|n| digest(format!("layer {n}"))).collect();
    for n in 0..1000 {
        if n % 100 != 7 {
            push_blob(&store, "app", &format!("layer {n}")).await;
        }
    }
    let image = NewManifest {
        blobs: digests.iter().map(|digest| (*digest, true)).collect(),
        ..manifest("app", "image")
    };

    let missing = digests.iter().copied().skip(7).step_by(100).collect();
    assert_eq!(store.put_manifest(image).await.unwrap(), PutManifest::Missing(missing));
}

pub async fn a_moved_tag_points_to_the_new_manifest(store: Store) {
    push_manifest(&store, tagged("app", "one", &["latest", "1"])).await;
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "one");

    push_manifest(&store, tagged("app", "two", &["latest", "2", "latest"])).await;

    assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "two");
    assert_eq!(payload(&store, "app", &by_tag("1")).await.unwrap(), "one");
    assert_eq!(payload(&store, "app", &Reference::Digest(digest("one"))).await.unwrap(), "one");

    push_manifest(&store, tagged("app", "one", &["latest"])).await;
    assert_eq!(payload(&store, "app", &by_tag("latest")).await.unwrap(), "one");
    assert_eq!(all_tags(&store, "app").await, ["1", "2", "latest"]);
}

pub async fn a_deleted_manifest_takes_its_tags_along(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    push_manifest(&store, tagged("app", "two", &["c"])).await;
    push_manifest(&store, tagged("other", "one", &["a"])).await;
    let one = Reference::Digest(digest("one"));
    for reference in [&by_tag("a"), &by_tag("b"), &one] {
        assert!(payload(&store, "app", reference).await.is_some());
    }

    assert!(delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);

    for reference in [&by_tag("a"), &by_tag("b"), &one] {
        assert_eq!(payload(&store, "app", reference).await, None);
    }
    assert_eq!(all_tags(&store, "app").await, ["c"]);
    assert_eq!(payload(&store, "other", &by_tag("a")).await.unwrap(), "one");
    assert!(!delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);
    assert!(!delete(&store, &repository("unknown"), &digest("one"), Duration::ZERO, &[]).await);
}

pub async fn a_deleted_tag_leaves_its_manifest(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a", "b"])).await;
    assert!(payload(&store, "app", &by_tag("a")).await.is_some());

    assert!(store.delete_tag(&repository("app"), &tag("a"), Duration::ZERO, &[]).await.unwrap());

    assert_eq!(payload(&store, "app", &by_tag("a")).await, None);
    assert_eq!(payload(&store, "app", &by_tag("b")).await.unwrap(), "one");
    assert_eq!(payload(&store, "app", &Reference::Digest(digest("one"))).await.unwrap(), "one");
    assert!(!store.delete_tag(&repository("app"), &tag("a"), Duration::ZERO, &[]).await.unwrap());
    assert!(
        !store.delete_tag(&repository("unknown"), &tag("b"), Duration::ZERO, &[]).await.unwrap()
    );
}

pub async fn a_manifest_pushed_again_takes_the_new_media_type(store: Store) {
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    assert!(payload(&store, "app", &by_tag("a")).await.is_some());
    let again = NewManifest {
        media_type: media_type::DOCKER_MANIFEST.to_owned(),
        ..manifest("app", "one")
    };

    push_manifest(&store, again).await;

    for reference in [by_tag("a"), Reference::Digest(digest("one"))] {
        let found = store.manifest(&repository("app"), &reference).await.unwrap().unwrap();
        assert_eq!(found.media_type, media_type::DOCKER_MANIFEST, "{reference}");
    }
}

pub async fn sha512_manifests_are_stored_beside_sha256(store: Store) {
    let long = Hasher::digest(Algorithm::Sha512, b"one");
    push_manifest(&store, tagged("app", "one", &["short"])).await;
    push_manifest(&store, NewManifest { digest: long, ..tagged("app", "one", &["long"]) }).await;

    for (name, digest) in [("short", digest("one")), ("long", long)] {
        let found = store.manifest(&repository("app"), &by_tag(name)).await.unwrap().unwrap();
        assert_eq!(found.digest, digest);
        assert_eq!(payload(&store, "app", &Reference::Digest(digest)).await.unwrap(), "one");
    }
    assert!(delete(&store, &repository("app"), &long, Duration::ZERO, &[]).await);
    assert_eq!(all_tags(&store, "app").await, ["short"]);
}
