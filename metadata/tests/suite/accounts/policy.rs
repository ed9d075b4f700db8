use std::time::{Duration, SystemTime};

use berth_metadata::{
    AccountChange, AccountKind, AuditOutcome, NewAudit, OrganisationRole, RefreshUse, SigningKey,
};
use berth_oci::access::Effect;

use super::fixtures::*;

pub async fn all_is_told_as_it_stands(store: Accounts) {
    let empty = store.policy().await.unwrap();
    assert!(empty.grants.is_empty() && empty.members.is_empty() && empty.team_members.is_empty());
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    for user in ["alice", "bob"] {
        make_user(&store, user).await;
    }
    let owner = OrganisationRole::Owner;
    assert!(store.add_member(&name("acme"), &name("alice"), owner).await.unwrap());
    add_team_member(&store, "acme/developers", "bob").await;
    let mut deny = new_grant("team:acme/developers writer acme/secret");
    deny.grant.effect = Effect::Deny;
    deny.by = "\"user\": \\ ü".to_owned();
    store.add_grant(&deny).await.unwrap();
    grant(&store, "anyone reader **").await;

    let mut policy = store.policy().await.unwrap();
    assert_eq!(policy.generation, store.policy_generation().await.unwrap());
    policy.grants.sort_by_key(|stored| stored.id);
    policy.members.sort_by(|one, other| one.1.cmp(&other.1));
    let stored = store.grants(&Default::default(), None, 9).await.unwrap();
    assert_eq!(policy.grants, stored.entries);
    assert_eq!((&policy.grants[0].grant, &policy.grants[0].by), (&deny.grant, &deny.by));
    let member = |user, role| (name("acme"), name(user), role);
    let expected = [member("alice", owner), member("bob", OrganisationRole::Member)];
    assert_eq!(policy.members, expected);
    assert_eq!(policy.team_members, [(team("acme/developers"), name("bob"))]);
}

/// How the generation has moved since it was last looked at.
struct Watch {
    store: Accounts,
    last: u64,
}

impl Watch {
    async fn new(store: &Accounts) -> Self {
        let last = store.policy_generation().await.unwrap();
        Self { store: store.clone(), last }
    }

    async fn has_grown(&mut self) -> bool {
        let now = self.store.policy_generation().await.unwrap();
        assert!(now >= self.last);
        std::mem::replace(&mut self.last, now) < now
    }

    async fn grew(&mut self, why: &str) {
        assert!(self.has_grown().await, "{why} changed nothing");
    }

    async fn stayed(&mut self, why: &str) {
        assert!(!self.has_grown().await, "{why} changed something");
    }
}

pub async fn each_change_makes_a_generation(store: Accounts) {
    let mut watch = Watch::new(&store).await;
    make_user(&store, "alice").await;
    watch.grew("a user").await;
    make_organisation(&store, "acme").await;
    watch.grew("an organisation").await;
    make_robot(&store, "acme+deploy").await;
    watch.grew("a robot").await;
    let disable = AccountChange { is_disabled: Some(true), ..Default::default() };
    store.change_account(&name("alice"), &disable).await.unwrap();
    watch.grew("a change of an account").await;
    let revoke = AccountChange { revoke_tokens: true, ..Default::default() };
    store.change_account(&name("alice"), &revoke).await.unwrap();
    watch.grew("the revocation of tokens").await;

    add_member(&store, "acme", "alice").await;
    watch.grew("a member").await;
    store.add_member(&name("acme"), &name("alice"), OrganisationRole::Owner).await.unwrap();
    watch.grew("another role").await;
    make_team(&store, "acme/developers").await;
    watch.grew("a team").await;
    add_team_member(&store, "acme/developers", "alice").await;
    watch.grew("a member of a team").await;
    store.remove_team_member(&team("acme/developers"), &name("alice")).await.unwrap();
    watch.grew("one less in a team").await;
    store.remove_member(&name("acme"), &name("alice")).await.unwrap();
    watch.grew("one less in an organisation").await;
    store.delete_team(&team("acme/developers")).await.unwrap();
    watch.grew("the end of a team").await;

    let id = grant(&store, "user:alice reader **").await;
    watch.grew("a grant").await;
    store.remove_grant(id).await.unwrap();
    watch.grew("the end of a grant").await;

    let id = make_token(&store, "alice", "token").await;
    watch.has_grown().await;
    store.rotate_access_token(&name("alice"), id, &hash("new"), None).await.unwrap();
    watch.grew("the rotation of a token").await;
    store.delete_access_token(&name("alice"), id).await.unwrap();
    watch.grew("the end of a token").await;

    for text in ["one", "two"] {
        make_refresh(&store, text).await;
    }
    use_refresh(&store, "one", Some("next")).await;
    watch.has_grown().await;
    assert_eq!(use_refresh(&store, "one", Some("more")).await, RefreshUse::Replayed);
    watch.grew("a replay").await;
    store.delete_refresh_token(&hash("two")).await.unwrap();
    watch.grew("the end of a refresh token").await;
    store.delete_account(&name("alice")).await.unwrap();
    watch.grew("the end of an account").await;
}

pub async fn what_changes_no_decision_makes_none(store: Accounts) {
    make_user(&store, "alice").await;
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    add_team_member(&store, "acme/developers", "alice").await;
    grant(&store, "user:alice reader **").await;
    let (bob, acme) = (name("bob"), name("acme"));
    let mut watch = Watch::new(&store).await;

    store.create_account(&new_account("alice", AccountKind::User)).await.unwrap();
    store.create_account(&new_account("bob+a", AccountKind::Robot)).await.unwrap();
    store.change_account(&bob, &AccountChange::default()).await.unwrap();
    store.delete_account(&bob).await.unwrap();
    watch.stayed("an account that is not there").await;
    add_member(&store, "acme", "alice").await;
    store.remove_member(&acme, &bob).await.unwrap();
    store.create_team(&team("acme/developers")).await.unwrap();
    store.create_team(&team("other/developers")).await.unwrap();
    store.delete_team(&team("acme/other")).await.unwrap();
    add_team_member(&store, "acme/developers", "alice").await;
    store.add_team_member(&team("acme/developers"), &bob).await.unwrap();
    store.remove_team_member(&team("acme/developers"), &bob).await.unwrap();
    watch.stayed("what was so already").await;
    let id = grant(&store, "user:alice reader **").await;
    store.add_grant(&new_grant("user:bob reader **")).await.unwrap();
    store.remove_grant(berth_metadata::GrantId(id.0 + 100)).await.unwrap();
    watch.stayed("a grant that is there").await;

    let id = make_token(&store, "alice", "token").await;
    watch.stayed("a token that nobody had").await;
    store.access_tokens_used(&[(id, SystemTime::now())]).await.unwrap();
    watch.stayed("the use of a token").await;
    store.rotate_access_token(&acme, id, &hash("new"), None).await.unwrap();
    store.delete_access_token(&acme, id).await.unwrap();
    watch.stayed("another's token").await;

    make_refresh(&store, "one").await;
    assert!(is_good(&store, "one").await);
    use_refresh(&store, "one", Some("two")).await;
    use_refresh(&store, "none", None).await;
    store.delete_refresh_token(&hash("none")).await.unwrap();
    watch.stayed("the use of a refresh token").await;
    let over = SystemTime::now() - Duration::from_secs(1);
    let over = berth_metadata::NewRefreshToken { expires: over, ..new_refresh("over") };
    store.create_refresh_token(&over).await.unwrap();
    assert_eq!(store.purge_refresh_tokens(10).await.unwrap(), 1);
    watch.stayed("the end of a time").await;

    let now = SystemTime::now();
    let key = SigningKey { id: "key".to_owned(), private: vec![1], created: now };
    store.add_signing_key(&key, None, now).await.unwrap();
    let line = NewAudit {
        time: now,
        actor: "user:alice".to_owned(),
        action: "push".to_owned(),
        target: "app".to_owned(),
        reference: None,
        digest: None,
        source: None,
        outcome: AuditOutcome::Done,
        detail: None,
        request: None,
    };
    store.record_audit(&[line]).await.unwrap();
    store.purge_audit(now + HOUR, 10).await.unwrap();
    watch.stayed("a key, or the audit log").await;
}
