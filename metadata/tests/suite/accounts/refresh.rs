use std::time::{Duration, SystemTime};

use berth_metadata::{NewRefreshToken, RefreshUse};

use super::fixtures::*;

pub async fn a_token_is_used_time_and_again(store: Accounts) {
    let before = in_micros(SystemTime::now());
    let new = NewRefreshToken {
        client: "docker".to_owned(),
        details: r#"{"groups":["ü"]}"#.to_owned(),
        ..new_refresh("one")
    };
    store.create_refresh_token(&new).await.unwrap();
    for _ in 0..3 {
        let RefreshUse::Good { subject, client, details, created } =
            use_refresh(&store, "one", None).await
        else {
            panic!("it is not good");
        };
        assert_eq!(
            (subject, client, details),
            (new.subject.clone(), new.client.clone(), new.details.clone())
        );
        assert!(created >= before && created <= SystemTime::now());
    }
    assert_eq!(use_refresh(&store, "other", None).await, RefreshUse::Unknown);
    assert_eq!(use_refresh(&store, "other", Some("next")).await, RefreshUse::Unknown);
    assert_eq!(use_refresh(&store, "next", None).await, RefreshUse::Unknown);
}

pub async fn a_token_is_exchanged_for_the_next(store: Accounts) {
    make_refresh(&store, "0").await;
    for number in 0..5 {
        let (this, next) = (number.to_string(), (number + 1).to_string());
        let used = use_refresh(&store, &this, Some(&next)).await;
        let RefreshUse::Good { subject, client, .. } = used else { panic!("{used:?}") };
        assert_eq!((subject.as_str(), client.as_str()), ("user:alice", "docker"));
    }
    assert!(is_good(&store, "5").await);
}

pub async fn a_replay_takes_all_of_the_same_login_away(store: Accounts) {
    make_refresh(&store, "one").await;
    use_refresh(&store, "one", Some("two")).await;
    use_refresh(&store, "two", Some("three")).await;
    assert!(is_good(&store, "three").await);

    assert_eq!(use_refresh(&store, "one", Some("thief")).await, RefreshUse::Replayed);

    for text in ["one", "two", "three", "thief"] {
        assert_eq!(use_refresh(&store, text, None).await, RefreshUse::Unknown, "{text}");
    }
}

pub async fn a_replay_without_an_exchange_does_so_too(store: Accounts) {
    make_refresh(&store, "one").await;
    use_refresh(&store, "one", Some("two")).await;
    assert_eq!(use_refresh(&store, "one", None).await, RefreshUse::Replayed);
    assert_eq!(use_refresh(&store, "two", None).await, RefreshUse::Unknown);
}

pub async fn other_logins_stay(store: Accounts) {
    make_user(&store, "alice").await;
    for text in ["phone", "laptop"] {
        let token = NewRefreshToken { account: Some(name("alice")), ..new_refresh(text) };
        store.create_refresh_token(&token).await.unwrap();
    }
    use_refresh(&store, "phone", Some("next")).await;
    assert_eq!(use_refresh(&store, "phone", Some("more")).await, RefreshUse::Replayed);
    assert!(is_good(&store, "laptop").await);
}

fn ending(text: &str, expires: SystemTime) -> NewRefreshToken {
    NewRefreshToken { expires, ..new_refresh(text) }
}

pub async fn a_token_whose_time_is_over_is_unknown(store: Accounts) {
    let now = SystemTime::now();
    store.create_refresh_token(&ending("over", now - Duration::from_secs(1))).await.unwrap();
    assert_eq!(use_refresh(&store, "over", None).await, RefreshUse::Unknown);
    assert_eq!(use_refresh(&store, "over", Some("next")).await, RefreshUse::Unknown);
    assert_eq!(use_refresh(&store, "next", None).await, RefreshUse::Unknown);

    // What it is exchanged for ends when it would have ended.
    let soon = Duration::from_millis(1500);
    store.create_refresh_token(&ending("soon", SystemTime::now() + soon)).await.unwrap();
    assert!(matches!(use_refresh(&store, "soon", Some("after")).await, RefreshUse::Good { .. }));
    tokio::time::sleep(soon + Duration::from_millis(100)).await;
    assert_eq!(use_refresh(&store, "after", None).await, RefreshUse::Unknown);
    assert_eq!(use_refresh(&store, "soon", None).await, RefreshUse::Unknown);
}

pub async fn a_logout_takes_all_of_the_same_login_away(store: Accounts) {
    make_refresh(&store, "one").await;
    make_refresh(&store, "other").await;
    use_refresh(&store, "one", Some("two")).await;
    assert!(store.delete_refresh_token(&hash("two")).await.unwrap());
    assert!(!store.delete_refresh_token(&hash("two")).await.unwrap());
    assert_eq!(use_refresh(&store, "one", None).await, RefreshUse::Unknown);
    assert!(is_good(&store, "other").await);
}

pub async fn a_token_goes_with_its_account(store: Accounts) {
    make_user(&store, "alice").await;
    let token = NewRefreshToken { account: Some(name("alice")), ..new_refresh("one") };
    store.create_refresh_token(&token).await.unwrap();
    use_refresh(&store, "one", Some("two")).await;
    assert!(store.delete_account(&name("alice")).await.unwrap());
    assert_eq!(use_refresh(&store, "one", None).await, RefreshUse::Unknown);
    assert_eq!(use_refresh(&store, "two", None).await, RefreshUse::Unknown);
}

pub async fn what_belongs_to_nobody_any_longer_is_not_stored(store: Accounts) {
    make_user(&store, "alice").await;
    let id = make_token(&store, "alice", "token").await;
    store.delete_access_token(&name("alice"), id).await.unwrap();
    let of_account = NewRefreshToken { account: Some(name("bob")), ..new_refresh("one") };
    let of_token = NewRefreshToken { access_token: Some(id), ..new_refresh("two") };
    for token in [of_account, of_token] {
        store.create_refresh_token(&token).await.unwrap();
    }
    assert!(!is_good(&store, "one").await && !is_good(&store, "two").await);
}

pub async fn what_is_over_is_forgotten_a_few_at_a_time(store: Accounts) {
    let now = SystemTime::now();
    for seconds in 1..=3u64 {
        let text = format!("over {seconds}");
        let over = now - Duration::from_secs(seconds);
        store.create_refresh_token(&ending(&text, over)).await.unwrap();
    }
    // One login with many tokens.
    let soon = Duration::from_millis(1500);
    store.create_refresh_token(&ending("0", SystemTime::now() + soon)).await.unwrap();
    for number in 0..3 {
        use_refresh(&store, &number.to_string(), Some(&(number + 1).to_string())).await;
    }
    make_refresh(&store, "good").await;
    tokio::time::sleep(soon).await;

    let mut purged = Vec::new();
    loop {
        let count = store.purge_refresh_tokens(2).await.unwrap();
        purged.push(count);
        if count == 0 {
            break;
        }
    }
    assert_eq!(purged, [2, 2, 2, 1, 0]);
    assert!(is_good(&store, "good").await);
    // All of them can be stored again.
    make_refresh(&store, "over 1").await;
    make_refresh(&store, "3").await;
}
