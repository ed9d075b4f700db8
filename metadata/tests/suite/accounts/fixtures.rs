use std::time::{Duration, SystemTime};

use berth_metadata::{
    AccessTokenId, AccountKind, Created, GrantFilter, GrantId, NewAccessToken, NewAccount,
    NewGrant, NewRefreshToken, OrganisationRole, RefreshUse, SecretHash,
};
use berth_oci::access::{AccountName, Effect, Grant, TeamName};

pub use crate::suite::fixtures::Accounts;

pub const HOUR: Duration = Duration::from_secs(3600);

pub fn name(text: &str) -> AccountName {
    text.parse().unwrap()
}

pub fn team(text: &str) -> TeamName {
    text.parse().unwrap()
}

/// A hash that no other text has.
pub fn hash(text: &str) -> SecretHash {
    let digest = crate::suite::fixtures::digest(text);
    SecretHash(digest.hash().try_into().unwrap())
}

pub fn new_account(text: &str, kind: AccountKind) -> NewAccount {
    NewAccount {
        name: name(text),
        kind,
        is_admin: false,
        password: None,
        description: String::new(),
        expires: None,
    }
}

async fn make(store: &Accounts, text: &str, kind: AccountKind) {
    let made = store.create_account(&new_account(text, kind)).await.unwrap();
    assert_eq!(made, Created::Yes(()), "{text}");
}

pub async fn make_user(store: &Accounts, text: &str) {
    make(store, text, AccountKind::User).await;
}

pub async fn make_robot(store: &Accounts, text: &str) {
    make(store, text, AccountKind::Robot).await;
}

pub async fn make_organisation(store: &Accounts, text: &str) {
    make(store, text, AccountKind::Organisation).await;
}

pub async fn make_team(store: &Accounts, text: &str) {
    assert_eq!(store.create_team(&team(text)).await.unwrap(), Created::Yes(()), "{text}");
}

pub async fn add_member(store: &Accounts, organisation: &str, user: &str) {
    let role = OrganisationRole::Member;
    assert!(store.add_member(&name(organisation), &name(user), role).await.unwrap());
}

pub async fn add_team_member(store: &Accounts, of: &str, user: &str) {
    assert!(store.add_team_member(&team(of), &name(user)).await.unwrap());
}

/// A grant from words: `user:alice writer acme/**`.
pub fn new_grant(words: &str) -> NewGrant {
    let mut words = words.split(' ');
    let mut word = || words.next().unwrap();
    let grant = Grant {
        effect: Effect::Allow,
        subject: word().parse().unwrap(),
        role: word().parse().unwrap(),
        repositories: word().parse().unwrap(),
    };
    NewGrant { grant, by: "user:root".to_owned() }
}

pub async fn grant(store: &Accounts, words: &str) -> GrantId {
    match store.add_grant(&new_grant(words)).await.unwrap() {
        Created::Yes(id) => id,
        other => panic!("{words}: {other:?}"),
    }
}

/// All grants of a filter, in words, as the pages have them.
pub async fn grants(store: &Accounts, filter: &GrantFilter) -> Vec<String> {
    let page = store.grants(filter, None, 1000).await.unwrap();
    assert!(!page.more);
    let words = |grant: &Grant| format!("{} {} {}", grant.subject, grant.role, grant.repositories);
    page.entries.iter().map(|stored| words(&stored.grant)).collect()
}

pub async fn all_grants(store: &Accounts) -> Vec<String> {
    grants(store, &GrantFilter::default()).await
}

pub fn new_token(account: &str, text: &str) -> NewAccessToken {
    NewAccessToken {
        account: name(account),
        name: text.to_owned(),
        hash: hash(&format!("{account} {text}")),
        role: None,
        repositories: None,
        expires: None,
    }
}

/// Makes an access token with the hash of `account text`.
pub async fn make_token(store: &Accounts, account: &str, text: &str) -> AccessTokenId {
    match store.create_access_token(&new_token(account, text)).await.unwrap() {
        Created::Yes(id) => id,
        other => panic!("{account} {text}: {other:?}"),
    }
}

pub fn new_refresh(text: &str) -> NewRefreshToken {
    NewRefreshToken {
        hash: hash(text),
        subject: "user:alice".to_owned(),
        account: None,
        access_token: None,
        client: "docker".to_owned(),
        details: "{}".to_owned(),
        expires: SystemTime::now() + HOUR,
    }
}

/// Stores a refresh token that belongs to nobody in the database.
pub async fn make_refresh(store: &Accounts, text: &str) {
    store.create_refresh_token(&new_refresh(text)).await.unwrap();
}

pub async fn use_refresh(store: &Accounts, text: &str, next: Option<&str>) -> RefreshUse {
    store.use_refresh_token(&hash(text), next.map(hash).as_ref()).await.unwrap()
}

/// Whether a refresh token is good, without an exchange.
pub async fn is_good(store: &Accounts, text: &str) -> bool {
    matches!(use_refresh(store, text, None).await, RefreshUse::Good { .. })
}

/// A time as the databases hold it.
pub fn in_micros(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_micros(since.as_micros().try_into().unwrap())
}
