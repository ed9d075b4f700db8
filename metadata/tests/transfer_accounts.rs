//! Copying accounts, and all that belongs to them, into a database of the other engine.
#![allow(clippy::expect_used, clippy::unwrap_used, dead_code, unreachable_pub)]

mod suite;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use berth_metadata::{
    Account, AccountChange, AccountKind, AuditFilter, AuditOutcome, AuditRecord, Changes, Endpoint,
    MetadataError, MetadataStore, NewAudit, NewRefreshToken, PolicyData, PostgresOptions,
    PostgresStore, RefreshUse, SigningKey, SqliteLocation, SqliteOptions, SqliteStore, Transfer,
};
use berth_test_stores::Postgres;
use suite::accounts::fixtures::*;
use tempfile::tempdir;

static SERVER: LazyLock<Postgres> =
    LazyLock::new(|| Postgres::options().fsync(false).start().expect("a PostgreSQL server"));

async fn open_file(path: &Path) -> Arc<SqliteStore> {
    let location = SqliteLocation::File(path.to_owned());
    Arc::new(SqliteStore::open(SqliteOptions::new(location)).await.unwrap())
}

async fn open_url(url: &str) -> Arc<PostgresStore> {
    let options = PostgresOptions::new(url.to_owned());
    Arc::new(PostgresStore::open(options).await.unwrap())
}

fn sqlite(path: &Path) -> Endpoint {
    Endpoint::Sqlite(path.to_owned())
}

fn postgres(url: &str) -> Endpoint {
    Endpoint::Postgres(PostgresOptions::new(url.to_owned()))
}

/// Something of everything.
async fn fill(store: &Accounts) {
    make_organisation(store, "acme").await;
    make_team(store, "acme/developers").await;
    for user in ["alice", "bob"] {
        make_user(store, user).await;
        make_robot(store, &format!("{user}+ci")).await;
        add_team_member(store, "acme/developers", user).await;
        grant(store, &format!("user:{user} writer acme/**")).await;
        let id = make_token(store, user, "token").await;
        let token = NewRefreshToken {
            account: Some(name(user)),
            access_token: Some(id),
            ..new_refresh(&format!("refresh of {user}"))
        };
        store.create_refresh_token(&token).await.unwrap();
    }
    make_refresh(store, "one").await;
    grant(store, "team:acme/developers admin acme/**").await;
    let (key, now) = (key("one"), SystemTime::now());
    store.add_signing_key(&key, None, now).await.unwrap();
    store.record_audit(&[line("alice"), line("bob")]).await.unwrap();
}

/// What a later pass finds changed, gone, and made again.
async fn change(store: &Accounts) {
    let disable = AccountChange { is_disabled: Some(true), ..Default::default() };
    assert!(store.change_account(&name("bob"), &disable).await.unwrap());
    assert!(store.delete_account(&name("alice")).await.unwrap());
    make_organisation(store, "alice").await;
    make_robot(store, "alice+ci").await;
    grant(store, "organisation:alice reader **").await;
    let token = store.access_tokens(&name("bob"), None, 9).await.unwrap().entries.remove(0);
    let rotated = store.rotate_access_token(&name("bob"), token.id, &hash("new"), None).await;
    assert!(rotated.unwrap());
    use_refresh(store, "one", Some("two")).await;
    let now = SystemTime::now();
    store.add_signing_key(&key("two"), Some("one"), now).await.unwrap();
    store.record_audit(&[line("carol")]).await.unwrap();
}

fn key(id: &str) -> SigningKey {
    SigningKey { id: id.to_owned(), private: vec![1, 2, 3], created: SystemTime::now() }
}

fn line(actor: &str) -> NewAudit {
    NewAudit {
        time: SystemTime::now(),
        actor: actor.to_owned(),
        action: "push".to_owned(),
        target: "acme/app".to_owned(),
        reference: Some("latest".to_owned()),
        digest: None,
        source: None,
        outcome: AuditOutcome::Failed,
        detail: None,
        request: None,
    }
}

/// All that can be read of a store.
async fn all(store: &Accounts) -> (Vec<Account>, PolicyData, Vec<SigningKey>, Vec<AuditRecord>) {
    let mut accounts = Vec::new();
    for kind in [AccountKind::User, AccountKind::Robot, AccountKind::Organisation] {
        accounts.extend(store.accounts(kind, None, None, 100).await.unwrap().entries);
    }
    let mut policy = store.policy().await.unwrap();
    policy.grants.sort_by_key(|stored| stored.id);
    policy.members.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    policy.team_members.sort();
    let keys = store.signing_keys().await.unwrap();
    let audit = store.audit(&AuditFilter::default(), None, 100).await.unwrap().entries;
    (accounts, policy, keys, audit)
}

async fn assert_same(
    store: &Accounts,
    expected: &(Vec<Account>, PolicyData, Vec<SigningKey>, Vec<AuditRecord>),
) {
    let (accounts, policy, keys, audit) = all(store).await;
    assert!(accounts == expected.0 && keys == expected.2);
    assert_eq!(policy.generation, expected.1.generation);
    assert_eq!(policy.grants, expected.1.grants);
    assert_eq!(policy.members, expected.1.members);
    assert_eq!(policy.team_members, expected.1.team_members);
    assert_eq!(audit, expected.3);
    assert_eq!(store.access_token(&hash("new")).await.unwrap().unwrap().account.name, name("bob"));
    assert!(store.access_token(&new_token("alice", "token").hash).await.unwrap().is_none());
    assert!(is_good(store, "two").await && !is_good(store, "refresh of alice").await);
}

/// A server forgets a connection a moment after it was closed.
async fn take(transfer: &mut Transfer) {
    let taken = async {
        while transfer.take_source().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), taken).await.expect("it stays in use");
}

#[tokio::test]
async fn accounts_go_to_postgres_and_back() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let path = directory.path().join("metadata.db");
    let opened = open_file(&path).await;
    let store: Accounts = opened.clone();
    fill(&store).await;
    let mut transfer = Transfer::open(sqlite(&path), postgres(&url)).await.unwrap();
    assert!(transfer.pass().await.unwrap().written > 20);
    change(&store).await;
    let whole = all(&store).await;
    opened.close().await;

    take(&mut transfer).await;
    let rest = transfer.pass().await.unwrap();
    assert!(rest.written > 0 && rest.deleted > 0, "{rest:?}");
    assert_eq!(transfer.pass().await.unwrap(), Changes::default());
    let summary = transfer.verify().await.unwrap();
    assert!(summary.rows.contains(&("accounts", 5)), "{summary:?}");
    assert!(summary.rows.contains(&("audit", 3)), "{summary:?}");
    transfer.finish().await.unwrap();
    drop(transfer);

    let opened = open_url(&url).await;
    let store: Accounts = opened.clone();
    assert_same(&store, &whole).await;
    // New rows get new numbers.
    let last = whole.1.grants.iter().map(|stored| stored.id).max().unwrap();
    assert!(grant(&store, "anyone reader **").await > last);
    make_token(&store, "bob", "another").await;
    make_refresh(&store, "another").await;
    store.record_audit(&[line("dave")]).await.unwrap();
    let now = SystemTime::now();
    assert_eq!(store.add_signing_key(&key("three"), Some("two"), now).await.unwrap().len(), 2);
    let whole = all(&store).await;
    assert_eq!(whole.3[0].entry.actor, "dave");
    opened.close().await;

    let mut transfer = Transfer::open(postgres(&url), sqlite(&path)).await.unwrap();
    transfer.pass().await.unwrap();
    take(&mut transfer).await;
    transfer.verify().await.unwrap();
    transfer.finish().await.unwrap();
    drop(transfer);
    let store: Accounts = open_file(&path).await;
    assert_same(&store, &whole).await;
    assert_eq!(use_refresh(&store, "one", None).await, RefreshUse::Replayed);
    assert!(!is_good(&store, "two").await);
}

#[tokio::test]
async fn a_target_with_accounts_of_its_own_is_left_alone() {
    let (directory, url) = (tempdir().unwrap(), SERVER.database().unwrap());
    let path = directory.path().join("metadata.db");
    let store: Accounts = open_file(&path).await;
    fill(&store).await;
    let target: Accounts = open_url(&url).await;
    make_user(&target, "precious").await;

    let refused = Transfer::open(sqlite(&path), postgres(&url)).await.err().unwrap();

    assert!(matches!(refused, MetadataError::NotEmpty { .. }), "{refused}");
    assert!(target.account(&name("precious")).await.unwrap().is_some());
}
