use std::time::{Duration, SystemTime};

use berth_metadata::{AccessTokenId, AccountKind, Created, NewAccessToken, NewRefreshToken};
use berth_oci::access::Role;

use super::fixtures::*;

pub async fn a_token_is_found_by_its_hash_with_its_owner(store: Accounts) {
    make_user(&store, "alice").await;
    make_robot(&store, "alice+ci").await;
    let expires = Some(in_micros(SystemTime::now()) + HOUR);
    let new = NewAccessToken {
        role: Some(Role::Writer),
        repositories: Some("alice/**".parse().unwrap()),
        expires,
        ..new_token("alice+ci", "laptop — new")
    };
    let Created::Yes(id) = store.create_access_token(&new).await.unwrap() else {
        panic!("not made");
    };

    let found = store.access_token(&new.hash).await.unwrap().unwrap();
    assert_eq!((found.account.name, found.account.kind), (name("alice+ci"), AccountKind::Robot));
    let token = found.token;
    assert_eq!((token.id, &token.name, token.role), (id, &new.name, new.role));
    assert_eq!((&token.repositories, token.expires), (&new.repositories, expires));
    assert!(token.used.is_none() && token.created <= SystemTime::now());
    assert!(store.access_token(&hash("other")).await.unwrap().is_none());

    let plain = make_token(&store, "alice", "plain").await;
    let found = store.access_token(&new_token("alice", "plain").hash).await.unwrap().unwrap();
    assert_eq!(found.token.id, plain);
    assert!(found.token.role.is_none() && found.token.repositories.is_none());
    assert_eq!(found.token.expires, None);
}

pub async fn a_name_is_taken_once_by_an_account(store: Accounts) {
    for user in ["alice", "bob"] {
        make_user(&store, user).await;
        make_token(&store, user, "laptop").await;
    }
    let again = NewAccessToken { hash: hash("another"), ..new_token("alice", "laptop") };
    assert_eq!(store.create_access_token(&again).await.unwrap(), Created::Taken);
    assert!(store.access_token(&again.hash).await.unwrap().is_none());
}

pub async fn an_organisation_has_no_tokens(store: Accounts) {
    make_organisation(&store, "acme").await;
    for account in ["acme", "nobody"] {
        let made = store.create_access_token(&new_token(account, "token")).await.unwrap();
        assert_eq!(made, Created::NoOwner, "{account}");
    }
}

pub async fn tokens_are_paged_by_number(store: Accounts) {
    make_user(&store, "alice").await;
    make_user(&store, "bob").await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(make_token(&store, "alice", &format!("token {number}")).await);
        make_token(&store, "bob", &format!("token {number}")).await;
    }
    let mut seen: Vec<AccessTokenId> = Vec::new();
    loop {
        let after = seen.last().copied();
        let page = store.access_tokens(&name("alice"), after, 2).await.unwrap();
        seen.extend(page.entries.iter().map(|token| token.id));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, made);
}

pub async fn a_rotated_token_has_another_secret_alone(store: Accounts) {
    make_user(&store, "alice").await;
    let new = NewAccessToken { role: Some(Role::Reader), ..new_token("alice", "laptop") };
    let Created::Yes(id) = store.create_access_token(&new).await.unwrap() else {
        panic!("not made");
    };
    let refresh = NewRefreshToken {
        account: Some(name("alice")),
        access_token: Some(id),
        ..new_refresh("had with the old secret")
    };
    store.create_refresh_token(&refresh).await.unwrap();
    let before = store.access_token(&new.hash).await.unwrap().unwrap().token;
    let expires = Some(in_micros(SystemTime::now()) + HOUR);
    let rotate = async |id, secret: &str| {
        store.rotate_access_token(&name("alice"), id, &hash(secret), expires).await.unwrap()
    };

    assert!(rotate(id, "new").await);
    assert!(!rotate(AccessTokenId(id.0 + 1), "newer").await);

    assert!(store.access_token(&new.hash).await.unwrap().is_none());
    let after = store.access_token(&hash("new")).await.unwrap().unwrap().token;
    assert_eq!(after.expires, expires);
    assert_eq!(berth_metadata::AccessToken { expires: None, ..after }, before);
    assert!(!is_good(&store, "had with the old secret").await);
}

pub async fn a_token_goes_with_what_was_had_with_it(store: Accounts) {
    make_user(&store, "alice").await;
    for text in ["one", "two"] {
        let id = make_token(&store, "alice", text).await;
        let token = NewRefreshToken {
            account: Some(name("alice")),
            access_token: Some(id),
            ..new_refresh(text)
        };
        store.create_refresh_token(&token).await.unwrap();
    }
    let tokens = store.access_tokens(&name("alice"), None, 9).await.unwrap().entries;
    let delete = async || store.delete_access_token(&name("alice"), tokens[0].id).await.unwrap();
    assert!(delete().await);
    assert!(!delete().await);
    assert!(store.access_token(&new_token("alice", "one").hash).await.unwrap().is_none());
    assert!(!is_good(&store, "one").await && is_good(&store, "two").await);
    assert!(make_token(&store, "alice", "one").await > tokens[1].id, "numbers do not come again");
}

pub async fn only_its_account_may_touch_a_token(store: Accounts) {
    make_user(&store, "alice").await;
    make_user(&store, "bob").await;
    let id = make_token(&store, "alice", "token").await;
    assert!(!store.rotate_access_token(&name("bob"), id, &hash("x"), None).await.unwrap());
    assert!(!store.delete_access_token(&name("bob"), id).await.unwrap());
    assert!(store.access_token(&new_token("alice", "token").hash).await.unwrap().is_some());
}

pub async fn the_last_use_is_noted(store: Accounts) {
    make_user(&store, "alice").await;
    let one = make_token(&store, "alice", "one").await;
    let two = make_token(&store, "alice", "two").await;
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let uses = async || {
        let page = store.access_tokens(&name("alice"), None, 9).await.unwrap();
        page.entries.iter().map(|token| token.used).collect::<Vec<_>>()
    };
    assert_eq!(uses().await, [None, None]);
    store.access_tokens_used(&[]).await.unwrap();
    let gone = AccessTokenId(two.0 + 1);
    store.access_tokens_used(&[(one, at(200)), (gone, at(1)), (one, at(100))]).await.unwrap();
    assert_eq!(uses().await, [Some(at(200)), None]);
    // Another process tells later of a use before.
    store.access_tokens_used(&[(two, at(50)), (one, at(150))]).await.unwrap();
    assert_eq!(uses().await, [Some(at(200)), Some(at(50))]);
}
