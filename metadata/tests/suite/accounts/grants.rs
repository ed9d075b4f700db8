use std::time::SystemTime;

use berth_metadata::{Created, GrantFilter, GrantId, NewGrant};
use berth_oci::access::Effect;

use super::fixtures::*;

pub async fn a_grant_is_read_back(store: Accounts) {
    make_user(&store, "alice").await;
    let mut new = new_grant("user:alice maintainer acme/*-base");
    new.grant.effect = Effect::Deny;
    let Created::Yes(id) = store.add_grant(&new).await.unwrap() else { panic!("not made") };

    let found = store.grant(id).await.unwrap().unwrap();
    assert_eq!((found.id, &found.grant, &found.by), (id, &new.grant, &new.by));
    assert!(found.created <= SystemTime::now());
    assert_eq!(store.grant(GrantId(id.0 + 1)).await.unwrap(), None);
    assert!(store.remove_grant(id).await.unwrap());
    assert!(!store.remove_grant(id).await.unwrap());
    assert_eq!(store.grant(id).await.unwrap(), None);
}

pub async fn the_same_grant_keeps_its_number(store: Accounts) {
    let id = grant(&store, "anyone reader public/**").await;
    let again = NewGrant { by: "user:other".to_owned(), ..new_grant("anyone reader public/**") };
    assert_eq!(store.add_grant(&again).await.unwrap(), Created::Yes(id));
    assert_eq!(store.grant(id).await.unwrap().unwrap().by, "user:root");

    let mut deny = again.clone();
    deny.grant.effect = Effect::Deny;
    let others =
        ["anyone writer public/**", "anyone reader public", "authenticated reader public/**"];
    for other in others.map(new_grant).into_iter().chain([deny]) {
        assert_ne!(store.add_grant(&other).await.unwrap(), Created::Yes(id), "{}", other.grant);
    }
    assert_eq!(all_grants(&store).await.len(), 5);
}

pub async fn whom_a_grant_names_must_be_there(store: Accounts) {
    make_user(&store, "alice").await;
    make_organisation(&store, "acme").await;
    for words in [
        "user:bob reader **",
        "user:acme reader **",
        "robot:alice+deploy reader **",
        "organisation:alice reader **",
        "organisation:other reader **",
        "team:acme/developers reader **",
    ] {
        let added = store.add_grant(&new_grant(words)).await.unwrap();
        assert_eq!(added, Created::NoOwner, "{words}");
    }
    make_team(&store, "acme/developers").await;
    make_robot(&store, "alice+deploy").await;
    let there = [
        "user:alice reader **",
        "robot:alice+deploy reader **",
        "organisation:acme reader **",
        "team:acme/developers reader **",
        "anyone reader **",
        "authenticated reader **",
        "workload:github reader **",
    ];
    for words in there {
        grant(&store, words).await;
    }
    assert_eq!(all_grants(&store).await, there);
}

pub async fn grants_are_paged_by_number(store: Accounts) {
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(grant(&store, &format!("anyone reader app{number}")).await);
    }
    assert!(ids.is_sorted());
    let mut seen: Vec<GrantId> = Vec::new();
    loop {
        let filter = GrantFilter::default();
        let page = store.grants(&filter, seen.last().copied(), 3).await.unwrap();
        seen.extend(page.entries.iter().map(|stored| stored.id));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ids);
}

pub async fn grants_are_found_by_subject_and_namespace(store: Accounts) {
    make_user(&store, "alice").await;
    let words = [
        "user:alice reader acme/**",
        "user:alice writer acme",
        "user:alice reader other/app",
        "user:alice reader **",
        "user:alice reader ac*/app",
        "anyone reader acme/app/*",
        "anyone reader acme2/app",
    ];
    for words in words {
        grant(&store, words).await;
    }
    let find = async |subject: Option<&str>, namespace: Option<&str>| {
        let subject = subject.map(|subject| subject.parse().unwrap());
        grants(&store, &GrantFilter { subject, namespace: namespace.map(name) }).await
    };
    assert_eq!(find(Some("user:alice"), None).await, words[..5]);
    assert_eq!(find(None, Some("acme")).await, [words[0], words[1], words[5]]);
    assert_eq!(find(Some("user:alice"), Some("acme")).await, words[..2]);
    assert_eq!(find(Some("anyone"), Some("acme2")).await, words[6..]);
    assert!(find(Some("authenticated"), None).await.is_empty());
    assert!(find(None, Some("ac")).await.is_empty());

    let filter = GrantFilter { subject: None, namespace: Some(name("acme")) };
    let first = store.grants(&filter, None, 2).await.unwrap();
    assert!(first.more);
    let rest = store.grants(&filter, Some(first.entries[1].id), 2).await.unwrap();
    assert_eq!((rest.entries.len(), rest.more), (1, false));
}

pub async fn grants_of_a_team_go_with_it(store: Accounts) {
    make_organisation(&store, "acme").await;
    for text in ["acme/a", "acme/b"] {
        make_team(&store, text).await;
        grant(&store, &format!("team:{text} writer acme/**")).await;
    }
    assert!(store.delete_team(&team("acme/a")).await.unwrap());
    assert_eq!(all_grants(&store).await, ["team:acme/b writer acme/**"]);
}

pub async fn a_number_is_never_used_again(store: Accounts) {
    let first = grant(&store, "anyone reader one").await;
    assert!(store.remove_grant(first).await.unwrap());
    assert!(grant(&store, "anyone reader two").await > first);
}
