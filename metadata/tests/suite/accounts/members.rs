use berth_metadata::{Created, Member, OrganisationRole};

use super::fixtures::*;

async fn members(store: &Accounts, of: &str) -> Vec<(String, OrganisationRole)> {
    let page = store.members(&name(of), None, 100).await.unwrap();
    page.entries.into_iter().map(|Member { user, role }| (user.to_string(), role)).collect()
}

async fn team_members(store: &Accounts, of: &str) -> Vec<String> {
    let page = store.team_members(&team(of), None, 100).await.unwrap();
    page.entries.into_iter().map(|member| member.user.to_string()).collect()
}

pub async fn a_member_is_a_user_of_an_organisation(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_user(&store, "alice").await;
    make_robot(&store, "acme+deploy").await;
    let add = async |organisation: &str, user: &str| {
        let role = OrganisationRole::Member;
        store.add_member(&name(organisation), &name(user), role).await.unwrap()
    };
    for (organisation, user) in [
        ("acme", "bob"),
        ("nowhere", "alice"),
        ("acme", "acme+deploy"),
        ("acme", "acme"),
        ("alice", "alice"),
    ] {
        assert!(!add(organisation, user).await, "{user} in {organisation}");
    }
    assert!(members(&store, "acme").await.is_empty());
    assert!(add("acme", "alice").await);
    assert!(add("acme", "alice").await, "they are");
    let remove = async || store.remove_member(&name("acme"), &name("alice")).await.unwrap();
    assert!(remove().await);
    assert!(!remove().await);
    assert!(members(&store, "acme").await.is_empty());
}

pub async fn a_role_is_changed_in_place(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_user(&store, "alice").await;
    for role in [OrganisationRole::Owner, OrganisationRole::Member, OrganisationRole::Owner] {
        assert!(store.add_member(&name("acme"), &name("alice"), role).await.unwrap());
        assert_eq!(members(&store, "acme").await, [("alice".to_owned(), role)]);
    }
}

pub async fn members_are_listed_in_the_order_of_bytes(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_organisation(&store, "other").await;
    for user in ["a_b", "a-b", "ab", "a.b", "a0"] {
        make_user(&store, user).await;
        add_member(&store, "acme", user).await;
    }
    add_member(&store, "other", "ab").await;
    let mut seen = Vec::new();
    loop {
        let page = store.members(&name("acme"), seen.last(), 2).await.unwrap();
        seen.extend(page.entries.into_iter().map(|member| member.user));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ["a-b", "a.b", "a0", "a_b", "ab"].map(name));
}

pub async fn a_team_is_of_an_organisation(store: Accounts) {
    make_user(&store, "alice").await;
    for text in ["acme/developers", "alice/developers"] {
        assert_eq!(store.create_team(&team(text)).await.unwrap(), Created::NoOwner, "{text}");
    }
    make_organisation(&store, "acme").await;
    let developers = team("acme/developers");
    assert_eq!(store.create_team(&developers).await.unwrap(), Created::Yes(()));
    assert_eq!(store.create_team(&developers).await.unwrap(), Created::Taken);
    assert!(store.delete_team(&developers).await.unwrap());
    assert!(!store.delete_team(&developers).await.unwrap());
    assert_eq!(store.create_team(&developers).await.unwrap(), Created::Yes(()));
}

pub async fn teams_are_listed_in_the_order_of_bytes(store: Accounts) {
    for organisation in ["acme", "acme-2"] {
        make_organisation(&store, organisation).await;
        for text in ["b", "a-b", "a", "a_b", "a.b"] {
            make_team(&store, &format!("{organisation}/{text}")).await;
        }
    }
    let mut seen = Vec::new();
    loop {
        let page = store.teams(&name("acme"), seen.last(), 2).await.unwrap();
        seen.extend(page.entries);
        if !page.more {
            break;
        }
    }
    let expected = ["acme/a", "acme/a-b", "acme/a.b", "acme/a_b", "acme/b"];
    assert_eq!(seen, expected.map(team));
    assert!(store.teams(&name("nowhere"), None, 9).await.unwrap().entries.is_empty());
}

pub async fn who_comes_into_a_team_comes_into_the_organisation(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    make_user(&store, "alice").await;
    make_robot(&store, "acme+deploy").await;
    let add =
        async |of: &str, user: &str| store.add_team_member(&team(of), &name(user)).await.unwrap();
    for (of, user) in [
        ("acme/nobody", "alice"),
        ("acme/developers", "bob"),
        ("acme/developers", "acme+deploy"),
        ("acme/developers", "acme"),
    ] {
        assert!(!add(of, user).await, "{user} in {of}");
    }
    assert!(members(&store, "acme").await.is_empty());

    assert!(add("acme/developers", "alice").await);
    assert!(add("acme/developers", "alice").await, "they are");
    let expected = [("alice".to_owned(), OrganisationRole::Member)];
    assert_eq!(members(&store, "acme").await, expected);
    assert_eq!(team_members(&store, "acme/developers").await, ["alice"]);

    let developers = team("acme/developers");
    assert!(store.remove_team_member(&developers, &name("alice")).await.unwrap());
    assert!(!store.remove_team_member(&developers, &name("alice")).await.unwrap());
    assert_eq!(members(&store, "acme").await, expected, "they stay in the organisation");
}

pub async fn members_of_a_team_have_the_role_of_the_organisation(store: Accounts) {
    make_organisation(&store, "acme").await;
    make_team(&store, "acme/developers").await;
    for user in ["a_b", "a-b", "ab"] {
        make_user(&store, user).await;
    }
    let role = OrganisationRole::Owner;
    assert!(store.add_member(&name("acme"), &name("a-b"), role).await.unwrap());
    for user in ["ab", "a-b", "a_b"] {
        add_team_member(&store, "acme/developers", user).await;
    }
    let page = store.team_members(&team("acme/developers"), None, 2).await.unwrap();
    assert!(page.more);
    let expected = [("a-b", OrganisationRole::Owner), ("a_b", OrganisationRole::Member)];
    assert_eq!(page.entries, expected.map(|(user, role)| Member { user: name(user), role }));
    let after = name("a_b");
    let rest = store.team_members(&team("acme/developers"), Some(&after), 2).await.unwrap();
    assert_eq!((rest.entries.len(), rest.more), (1, false));
}

pub async fn who_leaves_an_organisation_leaves_its_teams(store: Accounts) {
    for organisation in ["acme", "other"] {
        make_organisation(&store, organisation).await;
    }
    for of in ["acme/a", "acme/b", "other/a"] {
        make_team(&store, of).await;
    }
    for user in ["alice", "bob"] {
        make_user(&store, user).await;
        for of in ["acme/a", "acme/b", "other/a"] {
            add_team_member(&store, of, user).await;
        }
    }
    assert!(store.remove_member(&name("acme"), &name("alice")).await.unwrap());
    for (of, expected) in
        [("acme/a", vec!["bob"]), ("acme/b", vec!["bob"]), ("other/a", vec!["alice", "bob"])]
    {
        assert_eq!(team_members(&store, of).await, expected, "{of}");
    }
}
