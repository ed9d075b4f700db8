use berth_oci::access::{Access, Effect, Grant, Role};

use super::{Decision, Holder, Limit, Memberships, Policy, Reason, Who};

fn grant(text: &str) -> Grant {
    let words: Vec<_> = text.split(' ').collect();
    let [effect, subject, role, repositories] = words[..] else { panic!("{text}") };
    Grant {
        effect: if effect == "deny" { Effect::Deny } else { Effect::Allow },
        subject: subject.parse().unwrap(),
        role: role.parse().unwrap(),
        repositories: repositories.parse().unwrap(),
    }
}

fn policy(grants: &[&str]) -> Policy {
    let mut memberships = Memberships::default();
    let name = |text: &str| text.parse().unwrap();
    memberships.add_member(&name("acme"), &name("olga"), true);
    memberships.add_member(&name("acme"), &name("bob"), false);
    memberships.add_team_member(&"acme/developers".parse().unwrap(), &name("bob"));
    let numbered = grants.iter().enumerate();
    Policy::new(numbered.map(|(at, text)| (Some(at as i64), grant(text))), memberships)
}

fn account(name: &str) -> Holder {
    Holder::of(Who::Account(name.parse().unwrap()))
}

#[test]
fn a_grant_is_for_its_subject_its_role_and_its_repositories() {
    let policy = policy(&[
        "allow anyone reader library/**",
        "allow authenticated reader shared/*",
        "allow user:alice writer team/app",
        "allow team:acme/developers maintainer acme/**",
        "allow organisation:acme reader acme/handbook",
        "allow robot:acme+deploy writer acme/web",
        "allow workload:github writer acme/ci-*",
    ]);
    let workload = Holder::of(Who::Workload("github".parse().unwrap()));
    let stranger = Holder::of(Who::Stranger);
    let anonymous = Holder::ANONYMOUS;
    for (holder, repository, expected) in [
        (&anonymous, "library/alpine", "pull"),
        (&anonymous, "shared/x", ""),
        (&anonymous, "acme/web", ""),
        (&stranger, "shared/x", "pull"),
        (&stranger, "shared/x/y", ""),
        (&stranger, "library/alpine", "pull"),
        (&account("alice"), "team/app", "pull,push"),
        (&account("alice"), "team/app/sub", ""),
        (&account("alice"), "team", ""),
        (&account("alice"), "alice/own", "pull,push,delete,manage"),
        (&account("alice"), "alice", ""),
        (&account("alice"), "alicex/own", ""),
        (&account("bob"), "acme/web", "pull,push,delete"),
        (&account("bob"), "acme/handbook", "pull,push,delete"),
        (&account("bob"), "team/app", ""),
        (&account("olga"), "acme/web", "pull,push,delete,manage"),
        (&account("olga"), "other/web", ""),
        (&account("acme+deploy"), "acme/web", "pull,push"),
        (&account("acme+deploy"), "acme/handbook", ""),
        (&workload, "acme/ci-web", "pull,push"),
        (&workload, "acme/web", ""),
    ] {
        let actions = policy.actions(holder, repository).to_string();
        assert_eq!(actions, expected, "{holder:?} {repository}");
    }
}

#[test]
fn what_is_denied_no_other_grant_gives() {
    let policy = policy(&[
        "allow user:alice admin **",
        "deny authenticated writer team/frozen",
        "deny user:alice reader team/secret",
        "deny user:alice writer alice/old",
    ]);
    let alice = account("alice");
    // A denied role takes all that it would allow.
    for (repository, expected) in [
        ("team/app", "pull,push,delete,manage"),
        ("team/frozen", "delete,manage"),
        ("team/secret", "push,delete,manage"),
        ("alice/old", "delete,manage"),
    ] {
        assert_eq!(policy.actions(&alice, repository).to_string(), expected, "{repository}");
    }
    assert!(
        policy
            .decide(&Holder { is_admin: true, ..alice }, Access::Push, "team/frozen")
            .is_allowed()
    );
}

#[test]
fn credentials_are_for_no_more_than_they_say() {
    let policy = policy(&["allow user:alice admin team/**"]);
    let limit = |role: Option<Role>, repositories: Option<&str>| Limit {
        role,
        repositories: repositories.map(|text| text.parse().unwrap()),
    };
    let limited = |limit: Limit, is_admin: bool| Holder { limit, is_admin, ..account("alice") };
    let reader = limited(limit(Some(Role::Reader), Some("team/a*")), false);
    assert_eq!(policy.actions(&reader, "team/app").to_string(), "pull");
    assert_eq!(policy.actions(&reader, "team/web").to_string(), "");
    let admin = limited(limit(Some(Role::Writer), None), true);
    assert_eq!(policy.actions(&admin, "any").to_string(), "pull,push");
}

#[test]
fn the_reason_names_the_grant() {
    let policy = policy(&["allow user:alice reader team/**", "deny user:alice reader team/x"]);
    let alice = account("alice");
    let decide = |access, repository| policy.decide(&alice, access, repository).to_string();
    assert_eq!(
        decide(Access::Pull, "team/app"),
        "allowed: grant 0, `allow user:alice reader team/**`"
    );
    assert_eq!(decide(Access::Pull, "team/x"), "denied: grant 1, `deny user:alice reader team/x`");
    assert_eq!(decide(Access::Push, "team/app"), "denied: no grant allows it");
    let own = policy.decide(&alice, Access::Push, "alice/app");
    assert_eq!(own, Decision::Allowed(Reason::OwnName));
}

#[test]
fn everywhere_is_where_no_name_matters() {
    let everywhere =
        |grants: &[&str], holder: &Holder| policy(grants).allows_everywhere(holder, Access::Pull);
    let alice = account("alice");
    assert!(everywhere(&["allow authenticated reader **"], &alice));
    assert!(!everywhere(&["allow authenticated reader **"], &Holder::ANONYMOUS));
    assert!(!everywhere(&["allow user:alice reader */**"], &alice));
    assert!(!everywhere(&["allow anyone reader **", "deny user:alice reader x"], &alice));
    assert!(everywhere(&[], &Holder { is_admin: true, ..alice }));
}
