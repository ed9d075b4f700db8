use std::time::Duration;

use super::fixtures::*;

pub async fn repositories_are_ordered_by_bytes(store: Store) {
    let mut names =
        ["team/app-extra", "team/app", "team", "team/app.x", "team0", "a", "team/app/x"];
    for name in names {
        push_blob(&store, name, "layer").await;
    }

    names.sort_unstable();
    assert_eq!(all_repositories(&store).await, names);
    // '-' and '.' stand before '/', and '/' before the digits.
    let expected = ["a", "team", "team/app", "team/app-extra", "team/app.x", "team/app/x", "team0"];
    assert_eq!(names, expected);
}

pub async fn tags_are_ordered_by_bytes(store: Store) {
    let tags = ["b", "B", "_", "10", "9", "a.b", "a-b", "a_b", "ab", "a"];
    push_manifest(&store, tagged("app", "one", &tags)).await;

    let expected = ["10", "9", "B", "_", "a", "a-b", "a.b", "a_b", "ab", "b"];
    assert_eq!(all_tags(&store, "app").await, expected);
}

pub async fn paging_ends_with_the_last_entry(store: Store) {
    let names = ["a", "b", "c", "d"];
    for name in names {
        push_manifest(&store, tagged(name, "one", &names)).await;
    }
    for limit in 1..=5 {
        let mut repositories: Vec<String> = Vec::new();
        let mut tags: Vec<String> = Vec::new();
        loop {
            let last = repositories.last().map(String::as_str);
            let page = store.repositories(last, limit).await.unwrap();
            assert!(page.entries.len() <= limit as usize);
            repositories.extend(page.entries.iter().map(ToString::to_string));
            assert_eq!(page.more, repositories.len() < 4, "limit {limit}");

            let last = tags.last().map(String::as_str);
            let page = store.tags(&repository("a"), last, limit).await.unwrap().unwrap();
            tags.extend(page.entries.iter().map(ToString::to_string));
            if !page.more {
                break;
            }
        }
        assert_eq!(repositories, names);
        assert_eq!(tags, names);
    }

    let past = store.repositories(Some("d"), 10).await.unwrap();
    assert!(past.entries.is_empty() && !past.more);
    let past = store.tags(&repository("a"), Some("d"), 10).await.unwrap().unwrap();
    assert!(past.entries.is_empty() && !past.more);
    let nothing = store.repositories(None, 0).await.unwrap();
    assert!(nothing.entries.is_empty() && nothing.more);
}

pub async fn a_page_may_begin_after_a_name_that_does_not_exist(store: Store) {
    for name in ["a", "c"] {
        push_manifest(&store, tagged(name, "one", &["a", "c"])).await;
    }

    for after in ["b", "a/", "a\u{10ffff}", "aA"] {
        let page = store.repositories(Some(after), 10).await.unwrap();
        assert_eq!(page.entries, [repository("c")], "{after}");
        let page = store.tags(&repository("a"), Some(after), 10).await.unwrap().unwrap();
        assert_eq!(page.entries, [tag("c")], "{after}");
    }
    let page = store.repositories(Some("%_' OR 1=1 --"), 10).await.unwrap();
    assert_eq!(page.entries.len(), 2);
}

pub async fn tags_of_an_unknown_repository_are_none(store: Store) {
    push_blob(&store, "app", "layer").await;

    assert_eq!(store.tags(&repository("unknown"), None, 10).await.unwrap(), None);
    assert!(all_tags(&store, "app").await.is_empty());

    push_manifest(&store, tagged("app", "one", &["a"])).await;
    assert!(store.delete_tag(&repository("app"), &tag("a"), Duration::ZERO, &[]).await.unwrap());
    assert!(all_tags(&store, "app").await.is_empty());
}

pub async fn a_repository_exists_from_its_first_link_on(store: Store) {
    assert!(!store.repository_exists(&repository("app")).await.unwrap());
    assert!(all_repositories(&store).await.is_empty());

    push_blob(&store, "app", "layer").await;

    assert!(store.repository_exists(&repository("app")).await.unwrap());
    assert_eq!(all_repositories(&store).await, ["app"]);
    assert!(all_tags(&store, "app").await.is_empty());
}

pub async fn a_repository_without_links_and_manifests_does_not_exist(store: Store) {
    let record = push_blob(&store, "app", "layer").await;
    push_manifest(&store, tagged("app", "one", &["a"])).await;
    push_blob(&store, "b", "layer").await;

    assert!(store.unlink_blob(&repository("app"), &record.digest, GRACE, &[]).await.unwrap());
    assert_eq!(all_repositories(&store).await, ["app", "b"]);
    assert!(delete(&store, &repository("app"), &digest("one"), Duration::ZERO, &[]).await);

    assert!(!store.repository_exists(&repository("app")).await.unwrap());
    assert_eq!(all_repositories(&store).await, ["b"]);
    assert_eq!(store.tags(&repository("app"), None, 10).await.unwrap(), None);

    push_blob(&store, "app", "layer").await;
    assert_eq!(all_repositories(&store).await, ["app", "b"]);
}

pub async fn an_upload_session_makes_no_repository(store: Store) {
    store.create_upload(new_upload("app")).await.unwrap();

    assert!(!store.repository_exists(&repository("app")).await.unwrap());
    assert!(all_repositories(&store).await.is_empty());
    assert_eq!(store.tags(&repository("app"), None, 10).await.unwrap(), None);
}
