use std::time::Duration;

use berth_oci::Digest;

use super::fixtures::*;

async fn listed(
    store: &Store,
    subject: &str,
    artifact_type: Option<&str>,
    limit: u32,
) -> Vec<Digest> {
    let mut found: Vec<Digest> = Vec::new();
    loop {
        let page = store
            .referrers(&repository("app"), &digest(subject), artifact_type, found.last(), limit)
            .await
            .unwrap();
        assert!(page.entries.len() <= limit as usize);
        found.extend(page.entries.iter().map(|referrer| referrer.digest));
        if !page.more {
            return found;
        }
        assert!(!page.entries.is_empty(), "a page with more behind it is never empty");
    }
}

/// Five signatures and four lists of parts, attached to the manifest "image".
async fn attach(store: &Store) -> (Vec<Digest>, Vec<Digest>) {
    let (mut signatures, mut lists) = (Vec::new(), Vec::new());
    for n in 0..9 {
        let payload = format!("referrer {n}");
        let (artifact_type, kind) = match n % 2 {
            0 => ("application/signature", &mut signatures),
            _ => ("application/sbom", &mut lists),
        };
        push_manifest(store, attached("app", &payload, "image", artifact_type)).await;
        kind.push(digest(&payload));
    }
    signatures.sort_unstable();
    lists.sort_unstable();
    (signatures, lists)
}

pub async fn referrers_are_listed_by_digest_and_paged(store: Store) {
    push_manifest(&store, manifest("app", "image")).await;
    let (signatures, lists) = attach(&store).await;
    let mut all = [signatures, lists].concat();
    all.sort_unstable();

    for limit in [1, 2, 3, 8, 9, 10] {
        assert_eq!(listed(&store, "image", None, limit).await, all, "limit {limit}");
    }
    let page = store.referrers(&repository("app"), &digest("image"), None, None, 1).await.unwrap();
    let first = &page.entries[0];
    assert_eq!(first.size, "referrer 0".len() as u64);
    assert_eq!(first.annotations.as_ref().unwrap()["of"], "image");
    assert!(first.artifact_type.as_ref().unwrap().starts_with("application/"));
    assert_eq!(first.media_type, berth_oci::media_type::OCI_IMAGE_MANIFEST);
}

pub async fn referrers_are_filtered_before_they_are_paged(store: Store) {
    let (signatures, lists) = attach(&store).await;

    for limit in [1, 2, 10] {
        let found = listed(&store, "image", Some("application/signature"), limit).await;
        assert_eq!(found, signatures);
        assert_eq!(listed(&store, "image", Some("application/sbom"), limit).await, lists);
        assert!(listed(&store, "image", Some("application/other"), limit).await.is_empty());
    }
}

pub async fn a_subject_that_is_not_here_has_referrers(store: Store) {
    push_manifest(&store, attached("app", "signature", "absent", "application/signature")).await;

    assert_eq!(listed(&store, "absent", None, 10).await, [digest("signature")]);
    assert!(listed(&store, "signature", None, 10).await.is_empty());
}

pub async fn a_deleted_referrer_is_listed_no_longer(store: Store) {
    for name in ["one", "two"] {
        push_manifest(&store, attached("app", name, "image", "application/signature")).await;
    }

    assert!(delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);

    assert_eq!(listed(&store, "image", None, 10).await, [digest("two")]);
}

pub async fn referrers_of_another_repository_are_not_listed(store: Store) {
    push_manifest(&store, attached("other", "one", "image", "application/signature")).await;

    assert!(listed(&store, "image", None, 10).await.is_empty());
}
