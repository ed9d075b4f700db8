//! The `policy` section.

use berth_config::{Config, GoDuration};

use crate::{config, error, with_env};

fn with_rules(rules: &str) -> String {
    format!("policy: {{retention: {{rules: {rules}}}}}")
}

#[test]
fn nothing_is_immutable_and_nothing_goes_unless_it_is_configured() {
    let policy = Config::default().policy;
    assert!(!policy.has_immutable_tags("app") && policy.immutable("app", "1.0").is_none());
    assert!(policy.retention.rule_for("app").is_none() && !policy.retention.needs_pulls());
    assert_eq!(policy.retention.interval, GoDuration::from_secs(24 * 3600));
}

#[test]
fn the_first_rule_that_names_a_tag_makes_it_immutable() {
    let policy = config(
        "policy: {immutabletags: [
            {repositories: ['prod/**'], tags: ['*'], except: [latest, 'dev-*']},
            {repositories: ['**'], tags: ['v*', dev-9]}]}",
    )
    .policy;
    for (repository, tag, rule) in [
        ("prod/app", "1.0", Some("policy.immutabletags[0]")),
        ("prod/a/b", "v1", Some("policy.immutabletags[0]")),
        ("prod/app", "latest", None),
        ("prod/app", "dev-1", None),
        ("prod/app", "dev-9", Some("policy.immutabletags[1]")),
        ("other", "v1", Some("policy.immutabletags[1]")),
        ("other", "1.0", None),
    ] {
        let found = policy.immutable(repository, tag).map(|rule| rule.to_string());
        assert_eq!(found.as_deref(), rule, "{repository}:{tag}");
        assert!(policy.has_immutable_tags(repository), "{repository}");
    }
}

#[test]
fn the_first_rule_that_names_a_repository_decides() {
    let rules = "[{repositories: ['team/web'], untagged: 1h},
        {repositories: [other, 'team/**'], keep: [{newestpulled: 3}]}]";
    let retention = config(&with_rules(rules)).policy.retention;
    let untagged = |name: &str| retention.rule_for(name).map(|rule| rule.untagged.is_some());
    assert_eq!(untagged("team/web"), Some(true));
    assert_eq!(untagged("team/app"), Some(false));
    assert_eq!(untagged("other"), Some(false));
    assert_eq!(untagged("team"), None);
    assert!(retention.needs_pulls());
    let pushes = config(&with_rules("[{repositories: [a], keep: [{pushedwithin: 1d}]}]"));
    assert!(!pushes.policy.retention.needs_pulls());
}

#[test]
fn days_are_understood() {
    let config = config(&with_rules("[{repositories: ['**'], untagged: 7d}]"));
    let rule = &config.policy.retention.rules[0];
    assert_eq!(rule.untagged, Some(GoDuration::from_secs(7 * 24 * 3600)));
    assert!(config.show().contains("untagged: 168h"), "{}", config.show());
}

#[test]
fn the_environment_sets_it_too() {
    let rules = "[{repositories: ['team/**'], keep: [{tags: ['a*'], newestpushed: 2}]}]";
    let single = [
        ("REGISTRY_POLICY_RETENTION_RULES_0_REPOSITORIES_0", "team/**"),
        ("REGISTRY_POLICY_RETENTION_RULES_0_KEEP_0_TAGS", "['a*']"),
        ("REGISTRY_POLICY_RETENTION_RULES_0_KEEP_0_NEWESTPUSHED", "2"),
    ];
    let expected = config(&with_rules(rules)).policy;
    assert_eq!(with_env(&single).policy, expected);
    assert_eq!(with_env(&[("REGISTRY_POLICY_RETENTION_RULES", rules)]).policy, expected);
}

#[test]
fn rules_that_cannot_be_meant_are_refused_in_one_line() {
    for (rules, at, says) in [
        ("[{untagged: 1h}]", "[0].repositories", "write for example `[\"**\"]`"),
        ("[{repositories: [], untagged: 1h}]", "[0].repositories", "it must name some"),
        ("[{repositories: ['**']}]", "[0]", "it deletes nothing"),
        ("[{repositories: ['**'], keep: []}]", "[0]", "it deletes nothing"),
        (
            "[{repositories: [a, 'team/**'], untagged: 1h}, {repositories: ['team/**'], untagged: 2h}]",
            "[1].repositories",
            "`policy.retention.rules[0]` comes first and decides for `team/**`",
        ),
        (
            "[{repositories: ['**'], untagged: 1h}, {repositories: [app], untagged: 2h}]",
            "[1].repositories",
            "put this rule before it",
        ),
        ("[{repositories: ['[a'], untagged: 1h}]", "[0].repositories[0]", "`[a` is not a glob"),
        ("[{repositories: [''], untagged: 1h}]", "[0].repositories[0]", "must not be empty"),
        ("[{repositories: [a], untagged: 0s}]", "[0].untagged", "more than 0"),
        ("[{repositories: [a], untagged: 7}]", "[0].untagged", "`7` is not a duration"),
        ("[{repositories: [a], keep: [{}]}]", "[0].keep[0]", "it keeps every tag"),
        ("[{repositories: [a], keep: [{tags: []}]}]", "[0].keep[0]", "it keeps every tag"),
        (
            "[{repositories: [a], keep: [{newestpushed: 0}]}]",
            "[0].keep[0].newestpushed",
            "from 1 to 10000",
        ),
        (
            "[{repositories: [a], keep: [{newestpulled: 10001}]}]",
            "[0].keep[0].newestpulled",
            "from 1 to 10000",
        ),
        (
            "[{repositories: [a], keep: [{newestsemver: 0}]}]",
            "[0].keep[0].newestsemver",
            "from 1 to 10000",
        ),
        ("[{repositories: [a], keep: [{newestsemver: -1}]}]", "[0].keep[0].newestsemver", ""),
        (
            "[{repositories: [a], keep: [{pushedwithin: 0s}]}]",
            "[0].keep[0].pushedwithin",
            "more than 0",
        ),
        (
            "[{repositories: [a], keep: [{tags: [b]}, {pulledwithin: 0s}]}]",
            "[0].keep[1].pulledwithin",
            "more than 0",
        ),
        (
            "[{repositories: [a], keep: [{semver: newest}]}]",
            "[0].keep[0].semver",
            "`newest` is not a requirement of versions",
        ),
        ("[{repositories: [a], keep: [{newest: 1}]}]", "[0].keep[0].newest", ""),
    ] {
        let message = error(&with_rules(rules), &[]);
        assert!(message.contains(&format!("`policy.retention.rules{at}`")), "{message}");
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
    }
    for (policy, at) in [
        ("{retention: {interval: 0s}}", "policy.retention.interval"),
        ("{immutabletags: [{tags: ['*']}]}", "policy.immutabletags[0].repositories"),
        ("{immutabletags: [{repositories: ['**']}]}", "policy.immutabletags[0].tags"),
        (
            "{immutabletags: [{repositories: ['**'], tags: ['{a']}]}",
            "policy.immutabletags[0].tags[0]",
        ),
        ("{quotas: [{bytes: 1GiB}]}", "policy.quotas[0]"),
        ("{quotas: [{repositories: team}]}", "policy.quotas[0]"),
        ("{quotas: [{repositories: Team, tags: 1}]}", "policy.quotas[0].repositories"),
        ("{quotas: [{repositories: 'team/*', tags: 1}]}", "policy.quotas[0].repositories"),
        ("{quotas: [{repositories: team, bytes: lots}]}", "policy.quotas[0].bytes"),
        ("{quotas: [{repositories: team, tags: -1}]}", "policy.quotas[0].tags"),
        (
            "{quotas: [{repositories: team, tags: 1}, {repositories: team, bytes: 1GiB}]}",
            "policy.quotas[1].repositories",
        ),
    ] {
        let message = error(&format!("policy: {policy}"), &[]);
        assert!(message.contains(&format!("`{at}`")) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_change_takes_effect_at_a_reload() {
    let changed = config(&with_rules("[{repositories: ['**'], untagged: 1h}]"));
    assert!(Config::restart_needed(&config(""), &changed).is_empty());
}
