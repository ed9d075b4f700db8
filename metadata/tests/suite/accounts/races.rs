use std::time::SystemTime;

use berth_metadata::{AccountKind, Created, NewRefreshToken, RefreshUse};
use tokio::task::JoinSet;

use super::fixtures::*;
use super::keys::key;

const MANY: usize = 12;

pub async fn one_of_many_makes_an_account(store: Accounts) {
    let mut makers = JoinSet::new();
    for number in 0..MANY {
        let store = store.clone();
        let kind = [AccountKind::User, AccountKind::Organisation][number % 2];
        makers
            .spawn(async move { store.create_account(&new_account("acme", kind)).await.unwrap() });
    }
    let made = makers.join_all().await;
    assert_eq!(made.iter().filter(|made| **made == Created::Yes(())).count(), 1);
    assert_eq!(made.iter().filter(|made| **made == Created::Taken).count(), MANY - 1);
}

/// Gives an account all that can belong to one.
async fn give(store: &Accounts, round: usize, step: usize) {
    match step {
        0 => drop(store.add_grant(&new_grant("user:alice writer app")).await.unwrap()),
        1 => drop(store.create_access_token(&new_token("alice", "token")).await.unwrap()),
        2 => {
            let text = format!("refresh {round}");
            let token = NewRefreshToken { account: Some(name("alice")), ..new_refresh(&text) };
            store.create_refresh_token(&token).await.unwrap();
        }
        3 => drop(store.add_team_member(&team("acme/developers"), &name("alice")).await.unwrap()),
        4 => {
            let robot = new_account("alice+ci", AccountKind::Robot);
            let _ = store.create_account(&robot).await.unwrap();
        }
        _ => drop(use_refresh(store, &format!("old {round}"), Some(&format!("new {round}"))).await),
    }
}

pub async fn nothing_is_left_of_an_account_that_goes_while_it_is_given_something(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    for round in 0..10 {
        make_user(&store, "alice").await;
        let text = format!("old {round}");
        let token = NewRefreshToken { account: Some(name("alice")), ..new_refresh(&text) };
        store.create_refresh_token(&token).await.unwrap();
        let mut steps = JoinSet::new();
        for step in 0..6 {
            let store = store.clone();
            steps.spawn(async move { give(&store, round, step).await });
        }
        let deleter = store.clone();
        steps.spawn(async move { assert!(deleter.delete_account(&name("alice")).await.unwrap()) });
        steps.join_all().await;

        let policy = store.policy().await.unwrap();
        assert!(policy.grants.is_empty() && policy.members.is_empty(), "round {round}");
        assert!(policy.team_members.is_empty());
        assert!(store.account(&name("alice+ci")).await.unwrap().is_none());
        assert!(store.access_token(&new_token("alice", "token").hash).await.unwrap().is_none());
        for kind in ["refresh", "old", "new"] {
            let used = use_refresh(&store, &format!("{kind} {round}"), None).await;
            assert_eq!(used, RefreshUse::Unknown, "{kind} {round}");
        }
    }
}

pub async fn one_of_many_exchanges_a_token(store: Accounts) {
    for round in 0..5 {
        let text = format!("round {round}");
        make_refresh(&store, &text).await;
        let mut users = JoinSet::new();
        for number in 0..MANY {
            let (store, text) = (store.clone(), text.clone());
            users.spawn(async move {
                use_refresh(&store, &text, Some(&format!("{text} {number}"))).await
            });
        }
        let used = users.join_all().await;
        let good = used.iter().filter(|used| matches!(used, RefreshUse::Good { .. })).count();
        assert_eq!(good, 1, "{used:?}");
        assert!(used.contains(&RefreshUse::Replayed));
        for number in 0..MANY {
            assert!(!is_good(&store, &format!("{text} {number}")).await, "{number}");
        }
    }
}

/// The owner goes on exchanging while a thief uses the first token.
pub async fn no_token_survives_a_replay_beside_an_exchange(store: Accounts) {
    for round in 0..20 {
        let text = move |step: &str| format!("{step} {round}");
        make_refresh(&store, &text("first")).await;
        use_refresh(&store, &text("first"), Some(&text("second"))).await;
        let (owner, thief) = (store.clone(), store.clone());
        let owner = tokio::spawn(async move {
            use_refresh(&owner, &text("second"), Some(&text("third"))).await;
        });
        let thief = tokio::spawn(async move {
            use_refresh(&thief, &text("first"), Some(&text("stolen"))).await
        });
        owner.await.unwrap();
        assert_eq!(thief.await.unwrap(), RefreshUse::Replayed);
        for step in ["first", "second", "third", "stolen"] {
            let used = use_refresh(&store, &text(step), None).await;
            assert_eq!(used, RefreshUse::Unknown, "{step} {round}");
        }
    }
}

pub async fn one_of_many_adds_a_key(store: Accounts) {
    let mut newest: Option<String> = None;
    for round in 0..5 {
        let mut makers = JoinSet::new();
        for number in 0..MANY {
            let (store, newest) = (store.clone(), newest.clone());
            makers.spawn(async move {
                let key = key(&format!("{round} {number}"), 0);
                let forget = SystemTime::UNIX_EPOCH;
                store.add_signing_key(&key, newest.as_deref(), forget).await.unwrap()
            });
        }
        let lists = makers.join_all().await;
        assert_eq!(lists[0].len(), round + 1);
        assert!(lists.iter().all(|list| *list == lists[0]));
        newest = Some(lists[0][0].id.clone());
    }
}

pub async fn generations_are_counted_one_by_one(store: Accounts) {
    let before = store.policy_generation().await.unwrap();
    let mut makers = JoinSet::new();
    for number in 0..MANY {
        let store = store.clone();
        makers.spawn(async move {
            make_user(&store, &format!("user{number}")).await;
            // Who reads after a change finds it, and its generation.
            let policy = store.policy().await.unwrap();
            assert!(store.policy_generation().await.unwrap() >= policy.generation);
            policy.generation
        });
    }
    assert!(makers.join_all().await.iter().all(|seen| *seen > before));
    assert_eq!(store.policy_generation().await.unwrap(), before + MANY as u64);
}
