use std::time::SystemTime;

use berth_metadata::{
    AccountChange, AccountKind, Created, GrantFilter, NewAccount, NewRefreshToken, PolicyData,
};

use super::fixtures::*;

pub async fn an_account_is_read_back(store: Accounts) {
    assert!(!store.has_accounts().await.unwrap());
    let before = in_micros(SystemTime::now());
    let new = NewAccount {
        is_admin: true,
        password: Some("$argon2id$…".to_owned()),
        description: "the first — über alles".to_owned(),
        expires: Some(before + HOUR),
        ..new_account("alice", AccountKind::User)
    };
    assert_eq!(store.create_account(&new).await.unwrap(), Created::Yes(()));

    let found = store.account(&name("alice")).await.unwrap().unwrap();
    assert_eq!((&found.name, found.kind), (&new.name, AccountKind::User));
    assert!(found.is_admin && !found.is_disabled);
    assert_eq!((&found.password, &found.description), (&new.password, &new.description));
    assert_eq!(found.expires, new.expires);
    assert!(found.created >= before && found.created <= SystemTime::now());
    assert_eq!(found.tokens_valid_from, found.created);
    assert!(store.has_accounts().await.unwrap());
    assert_eq!(store.account(&name("bob")).await.unwrap(), None);
}

pub async fn a_name_is_taken_once(store: Accounts) {
    make_user(&store, "acme").await;
    for kind in [AccountKind::User, AccountKind::Organisation] {
        let again = NewAccount { is_admin: true, ..new_account("acme", kind) };
        assert_eq!(store.create_account(&again).await.unwrap(), Created::Taken);
    }
    let found = store.account(&name("acme")).await.unwrap().unwrap();
    assert!(found.kind == AccountKind::User && !found.is_admin);
}

pub async fn a_robot_needs_its_owner(store: Accounts) {
    let robot = new_account("acme+deploy", AccountKind::Robot);
    assert_eq!(store.create_account(&robot).await.unwrap(), Created::NoOwner);
    make_organisation(&store, "acme").await;
    assert_eq!(store.create_account(&robot).await.unwrap(), Created::Yes(()));
    assert_eq!(store.create_account(&robot).await.unwrap(), Created::Taken);
    let found = store.account(&robot.name).await.unwrap().unwrap();
    assert_eq!(found.kind, AccountKind::Robot);

    let other = new_account("other", AccountKind::Robot);
    assert!(store.create_account(&other).await.is_err(), "its name has no owner");
}

async fn names(
    store: &Accounts,
    kind: AccountKind,
    owner: Option<&str>,
    after: Option<&str>,
    limit: u32,
) -> (Vec<String>, bool) {
    let (owner, after) = (owner.map(name), after.map(name));
    let page = store.accounts(kind, owner.as_ref(), after.as_ref(), limit).await.unwrap();
    (page.entries.iter().map(|account| account.name.to_string()).collect(), page.more)
}

pub async fn accounts_are_listed_by_kind_in_the_order_of_bytes(store: Accounts) {
    for text in ["ab", "a_b", "a-b", "a.b", "a", "b", "a0", "a__b"] {
        make_user(&store, text).await;
    }
    make_organisation(&store, "aa").await;
    make_robot(&store, "a+b").await;
    let sorted = ["a", "a-b", "a.b", "a0", "a__b", "a_b", "ab", "b"];
    let all = names(&store, AccountKind::User, None, None, 100).await;
    assert_eq!(all, (sorted.map(str::to_owned).to_vec(), false));

    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().map(String::as_str);
        let (page, more) = names(&store, AccountKind::User, None, after, 3).await;
        seen.extend(page);
        if !more {
            break;
        }
    }
    assert_eq!(seen, sorted);
    assert_eq!(names(&store, AccountKind::Organisation, None, None, 9).await.0, ["aa"]);
    assert_eq!(names(&store, AccountKind::User, None, None, 0).await, (Vec::new(), true));
}

pub async fn robots_are_listed_by_owner(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_user(&store, "acme-2").await;
    for text in ["acme+b", "acme+a-1", "acme-2+a", "acme+a", "acme+a.1"] {
        make_robot(&store, text).await;
    }
    let robots = AccountKind::Robot;
    assert_eq!(
        names(&store, robots, Some("acme"), None, 9).await.0,
        ["acme+a", "acme+a-1", "acme+a.1", "acme+b"]
    );
    let page = names(&store, robots, Some("acme"), Some("acme+a"), 2).await;
    assert_eq!(page, (vec!["acme+a-1".to_owned(), "acme+a.1".to_owned()], true));
    assert_eq!(names(&store, robots, Some("nobody"), None, 9).await.0.len(), 0);
    assert_eq!(names(&store, robots, None, None, 9).await.0.len(), 5);
}

pub async fn a_change_leaves_what_it_does_not_name(store: Accounts) {
    let new = NewAccount {
        password: Some("one".to_owned()),
        description: "two".to_owned(),
        expires: Some(in_micros(SystemTime::now()) + HOUR),
        ..new_account("alice", AccountKind::User)
    };
    store.create_account(&new).await.unwrap();
    make_user(&store, "bob").await;
    let before = store.account(&name("alice")).await.unwrap().unwrap();
    let change = async |change: AccountChange| {
        assert!(store.change_account(&name("alice"), &change).await.unwrap());
        store.account(&name("alice")).await.unwrap().unwrap()
    };

    assert!(change(AccountChange::default()).await == before);
    let admin = change(AccountChange { is_admin: Some(true), ..Default::default() }).await;
    assert!(admin.is_admin && admin.password == before.password && admin.expires == before.expires);
    let disabled = change(AccountChange { is_disabled: Some(true), ..Default::default() }).await;
    assert!(disabled.is_disabled && disabled.is_admin);
    let password = Some(Some("three".to_owned()));
    let changed = change(AccountChange { password, ..Default::default() }).await;
    assert_eq!(changed.password.as_deref(), Some("three"));
    let none = AccountChange { password: Some(None), expires: Some(None), ..Default::default() };
    let without = change(none).await;
    assert_eq!((without.password, without.expires), (None, None));
    assert_eq!((without.description.as_str(), without.tokens_valid_from), ("two", before.created));
    let description = Some(String::new());
    assert_eq!(change(AccountChange { description, ..Default::default() }).await.description, "");

    let unknown = AccountChange { is_admin: Some(true), ..Default::default() };
    assert!(!store.change_account(&name("carol"), &unknown).await.unwrap());
    assert!(!store.account(&name("bob")).await.unwrap().unwrap().is_disabled);
}

pub async fn the_last_administrator_is_spared(store: Accounts) {
    for text in ["alice", "bob"] {
        let new = NewAccount { is_admin: true, ..new_account(text, AccountKind::User) };
        store.create_account(&new).await.unwrap();
    }
    make_user(&store, "carol").await;
    let token = NewRefreshToken { account: Some(name("bob")), ..new_refresh("bob") };
    store.create_refresh_token(&token).await.unwrap();
    let change = async |text: &str, change: AccountChange| {
        let change = AccountChange { spare_last_admin: true, ..change };
        store.change_account(&name(text), &change).await.unwrap()
    };
    let demote = AccountChange { is_admin: Some(false), ..Default::default() };
    let disable = AccountChange { is_disabled: Some(true), ..Default::default() };
    let end = AccountChange { expires: Some(Some(SystemTime::now())), ..Default::default() };
    assert!(change("alice", demote.clone()).await);
    for last in [demote, disable.clone(), end] {
        assert!(!change("bob", AccountChange { revoke_tokens: true, ..last }).await);
    }
    let bob = store.account(&name("bob")).await.unwrap().unwrap();
    assert!(bob.is_admin && !bob.is_disabled && bob.expires.is_none());
    assert!(is_good(&store, "bob").await);
    assert!(change("carol", disable).await);
}

pub async fn revoked_tokens_are_worth_nothing_from_then_on(store: Accounts) {
    make_user(&store, "alice").await;
    make_user(&store, "bob").await;
    for text in ["alice", "bob"] {
        let token = NewRefreshToken { account: Some(name(text)), ..new_refresh(text) };
        store.create_refresh_token(&token).await.unwrap();
    }
    let before = store.account(&name("alice")).await.unwrap().unwrap();
    let revoke = AccountChange { revoke_tokens: true, ..Default::default() };
    assert!(store.change_account(&name("alice"), &revoke).await.unwrap());

    let after = store.account(&name("alice")).await.unwrap().unwrap();
    assert!(after.tokens_valid_from > before.tokens_valid_from);
    assert!(after.tokens_valid_from <= SystemTime::now());
    assert!(!is_good(&store, "alice").await && is_good(&store, "bob").await);
}

/// Something of everything that belongs to an account.
async fn give_everything(store: &Accounts, user: &str) {
    make_robot(store, &format!("{user}+robot")).await;
    add_member(store, "acme", user).await;
    add_team_member(store, "acme/developers", user).await;
    for account in [user.to_owned(), format!("{user}+robot")] {
        make_token(store, &account, "token").await;
        let token = NewRefreshToken {
            account: Some(name(&account)),
            ..new_refresh(&format!("refresh of {account}"))
        };
        store.create_refresh_token(&token).await.unwrap();
    }
    grant(store, &format!("user:{user} writer acme/**")).await;
    grant(store, &format!("robot:{user}+robot reader acme/app")).await;
}

async fn assert_nothing(store: &Accounts, user: &str) {
    for account in [user.to_owned(), format!("{user}+robot")] {
        assert_eq!(store.account(&name(&account)).await.unwrap(), None);
        let token = store.access_token(&new_token(&account, "token").hash).await.unwrap();
        assert!(token.is_none());
        assert!(!is_good(store, &format!("refresh of {account}")).await);
    }
    let PolicyData { grants, members, team_members, .. } = store.policy().await.unwrap();
    assert!(grants.iter().all(|stored| !stored.grant.subject.to_string().contains(user)));
    assert!(members.iter().all(|(_, member, _)| *member != name(user)));
    assert!(team_members.iter().all(|(_, member)| *member != name(user)));
}

pub async fn all_that_belongs_to_an_account_goes_with_it(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    for user in ["alice", "bob"] {
        make_user(&store, user).await;
        give_everything(&store, user).await;
    }
    grant(&store, "anyone reader alice/**").await;

    assert!(store.delete_account(&name("alice")).await.unwrap());
    assert!(!store.delete_account(&name("alice")).await.unwrap());

    assert_nothing(&store, "alice").await;
    assert!(store.account(&name("bob+robot")).await.unwrap().is_some());
    assert!(is_good(&store, "refresh of bob+robot").await);
    assert!(store.access_token(&new_token("bob", "token").hash).await.unwrap().is_some());
    let left = ["user:bob writer acme/**", "robot:bob+robot reader acme/app"];
    let left: Vec<_> = left.into_iter().chain(["anyone reader alice/**"]).collect();
    assert_eq!(all_grants(&store).await, left);
    assert_eq!(store.members(&name("acme"), None, 9).await.unwrap().entries.len(), 1);
}

pub async fn an_organisation_takes_its_teams_and_robots_along(store: Accounts) {
    for organisation in ["acme", "acme2"] {
        make_organisation(&store, organisation).await;
        make_team(&store, &format!("{organisation}/developers")).await;
        make_robot(&store, &format!("{organisation}+deploy")).await;
        grant(&store, &format!("organisation:{organisation} reader **")).await;
        grant(&store, &format!("team:{organisation}/developers writer **")).await;
        grant(&store, &format!("robot:{organisation}+deploy writer **")).await;
    }
    make_user(&store, "alice").await;
    add_team_member(&store, "acme/developers", "alice").await;
    add_team_member(&store, "acme2/developers", "alice").await;

    assert!(store.delete_account(&name("acme")).await.unwrap());

    assert!(store.teams(&name("acme"), None, 9).await.unwrap().entries.is_empty());
    assert_eq!(store.account(&name("acme+deploy")).await.unwrap(), None);
    let policy = store.policy().await.unwrap();
    assert_eq!(policy.team_members, [(team("acme2/developers"), name("alice"))]);
    assert_eq!(policy.members.len(), 1);
    assert_eq!(
        all_grants(&store).await,
        [
            "organisation:acme2 reader **",
            "team:acme2/developers writer **",
            "robot:acme2+deploy writer **"
        ]
    );
    assert!(store.account(&name("alice")).await.unwrap().is_some());
}

pub async fn an_account_that_is_made_again_inherits_nothing(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    make_user(&store, "alice").await;
    give_everything(&store, "alice").await;
    let first = store.account(&name("alice")).await.unwrap().unwrap();
    assert!(store.delete_account(&name("alice")).await.unwrap());
    make_user(&store, "alice").await;

    let second = store.account(&name("alice")).await.unwrap().unwrap();
    assert!(second.tokens_valid_from > first.tokens_valid_from);
    assert!(store.access_tokens(&name("alice"), None, 9).await.unwrap().entries.is_empty());
    let subject = Some("user:alice".parse().unwrap());
    let filter = GrantFilter { subject, namespace: None };
    assert!(grants(&store, &filter).await.is_empty());
    assert!(!is_good(&store, "refresh of alice").await);
}

pub async fn secrets_are_not_told(store: Accounts) {
    let new = NewAccount {
        password: Some("secret".to_owned()),
        ..new_account("alice", AccountKind::User)
    };
    store.create_account(&new).await.unwrap();
    let account = store.account(&name("alice")).await.unwrap().unwrap();
    let password = Some(Some("secret".to_owned()));
    let change = AccountChange { password, ..Default::default() };
    // A kind that the name contradicts is refused by the database, in its own words.
    let wrong = NewAccount { kind: AccountKind::Robot, name: name("bob"), ..new.clone() };
    let error = store.create_account(&wrong).await.unwrap_err();
    for told in [
        format!("{new:?}"),
        format!("{account:?}"),
        format!("{change:?}"),
        format!("{error:?} {error}"),
    ] {
        assert!(!told.contains("secret"), "{told}");
    }
}
