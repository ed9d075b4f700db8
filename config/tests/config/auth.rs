//! The `auth` section.

use crate::{config, error, parse, with_env};

const SERVER: &str = "realm: 'https://a.example.org/t', service: s, issuer: i";

#[test]
fn nobody_has_to_say_who_they_are_unless_it_is_configured() {
    let auth = config("").auth;
    assert!(!auth.is_enabled() && !auth.issues_tokens() && !auth.has_grants());
    for (yaml, issues_tokens, has_grants) in [
        ("auth: {htpasswd: {path: /p}}", false, false),
        ("auth: {htpasswd: {path: /p}, tokens: {enabled: true}}", true, false),
        ("auth: {htpasswd: {path: /p}, grants: ['anyone reader **']}", true, true),
        ("auth: {accounts: {enabled: true}}", true, true),
        (
            "auth: {workloads: [{issuer: 'https://i', audience: a, rules: [{name: ci, claims: {sub: x}}]}]}",
            true,
            false,
        ),
        (&format!("auth: {{token: {{{SERVER}, jwks: /k}}}}"), false, false),
    ] {
        let auth = config(yaml).auth;
        assert!(auth.is_enabled(), "{yaml}");
        assert_eq!(
            (auth.issues_tokens(), auth.has_grants()),
            (issues_tokens, has_grants),
            "{yaml}"
        );
    }
}

#[test]
fn a_way_to_log_in_is_named_as_with_registry_2() {
    let expected = config("auth: {htpasswd: {realm: Registry Realm, path: /auth/htpasswd}}");
    let env = with_env(&[
        ("REGISTRY_AUTH", "htpasswd"),
        ("REGISTRY_AUTH_HTPASSWD_REALM", "Registry Realm"),
        ("REGISTRY_AUTH_HTPASSWD_PATH", "/auth/htpasswd"),
    ]);
    assert_eq!(env.auth, expected.auth);
    let message = error("auth: ldap", &[]);
    assert!(message.contains("no way to log in of the name `ldap`"), "{message}");
    let message = error("auth: htpasswd", &[]);
    assert!(message.contains("`auth.htpasswd.path`: it must be set"), "{message}");
}

#[test]
fn what_others_can_reach_may_be_served_with_authentication() {
    let loaded = parse("{http: {addr: ':5000'}, auth: {htpasswd: {path: /p}}}", &[]).unwrap();
    assert!(
        loaded.notices.iter().any(|line| line.contains("passwords too")),
        "{:?}",
        loaded.notices
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    let workload = |text: &str| format!("auth: {{workloads: [{{{text}}}]}}");
    let token = |text: &str| format!("auth: {{token: {{{text}}}}}");
    for (yaml, key, message) in [
        (
            format!("auth: {{token: {{{SERVER}, jwks: /k}}, htpasswd: {{path: /p}}}}"),
            "auth.token",
            "cannot go with `auth.htpasswd`",
        ),
        (token("realm: a, service: s, issuer: i, jwks: /k"), "auth.token.realm", "not a URL"),
        (token("service: s, issuer: i, jwks: /k"), "auth.token.realm", "must be set"),
        (token(SERVER), "auth.token.rootcertbundle", "must be set, or `auth.token.jwks`"),
        ("auth: {certificates: {enabled: true}}".into(), "auth.certificates.enabled", "clientcas"),
        ("auth: {teams: {acme: [bob]}}".into(), "auth.teams.acme", "ORGANISATION/TEAM"),
        ("auth: {teams: {a/b: [Bob]}}".into(), "auth.teams.a/b", "`Bob`"),
        ("auth: {grants: ['anyone writes **']}".into(), "auth.grants[0]", "a role is reader"),
        ("auth: {grants: ['all reader **']}".into(), "auth.grants[0]", "write anyone"),
        (workload("audience: a"), "auth.workloads[0].issuer", "must be set"),
        (workload("issuer: i, audience: a"), "auth.workloads[0].issuer", "not a URL"),
        (workload("issuer: 'https://i'"), "auth.workloads[0].audience", "must be set"),
        (workload("issuer: 'https://i', audience: a"), "auth.workloads[0].rules", "must be one"),
        (
            workload("issuer: 'https://i', audience: a, rules: [{name: ci, claims: {sub: '*'}}]"),
            "auth.workloads[0].rules[0].claims",
            "would be meant",
        ),
        ("auth: {tokens: {lifetime: 0}}".into(), "auth.tokens.lifetime", "more than 0"),
        ("auth: {attempts: {account: 0}}".into(), "auth.attempts.account", "more than 0"),
    ] {
        let error = error(&yaml, &[]);
        assert!(
            error.contains(&format!("`{key}`: ")) && error.contains(message),
            "{yaml}: {error}"
        );
    }
}
