//! The `proxy` and `mirrors` sections.

use berth_config::Config;

use crate::{config, error};

#[test]
fn a_proxy_of_registry_2_is_a_mirror_of_everything_that_nobody_pushes_to() {
    let config = config(
        "proxy: {remoteurl: 'https://registry-1.docker.io', username: me, password: mine, ttl: 168h}",
    );
    let mirrors = config.all_mirrors();
    let [mirror] = &mirrors[..] else { panic!("{mirrors:?}") };
    assert_eq!((mirror.prefix.to_string(), mirror.push), ("*".to_owned(), false));
    assert!(mirror.ttl.is_zero(), "the upstream is asked at every pull");
    assert_eq!(mirror.upstreams[0].password.as_ref().unwrap().expose(), "mine");
    assert!(!config.show().contains("mine"));
    assert_eq!(Config::default().all_mirrors(), []);
}

#[test]
fn mirrors_that_contradict_each_other_or_themselves_are_refused() {
    let hub = "prefix: hub, upstreams: [{url: 'https://hub.example.org'}]";
    let of = |upstream: &str| format!("mirrors: [{{prefix: hub, upstreams: [{{{upstream}}}]}}]");
    for (yaml, key, says) in [
        (format!("mirrors: [{{{hub}}}, {{{hub}}}]"), "mirrors[1].prefix", "is for `hub` already"),
        (
            format!(
                "mirrors: [{{host: h, {hub}}}, {{host: h, prefix: b, upstreams: [{{url: a.org}}]}}]"
            ),
            "mirrors[1].host",
            "stands for `h` already",
        ),
        (format!("mirrors: [{{host: a/b, {hub}}}]"), "mirrors[0].host", "`docker.io`"),
        (
            format!("proxy: {{remoteurl: 'https://a.org'}}\nmirrors: [{{{hub}}}]"),
            "proxy",
            "keep one",
        ),
        ("mirrors: [{prefix: hub, upstreams: []}]".to_owned(), "upstreams", "must name where"),
        (of("url: 'ftp://a.org'"), "upstreams[0].url", "is not the URL of a registry"),
        (of("url: 'https://me:p@a.org'"), "upstreams[0].url", "keys of their own"),
        (of("url: a.org, username: me"), "upstreams[0].username", "goes with a password"),
        (
            of("url: 'http://a.org', username: me, password: p"),
            "upstreams[0].username",
            "in plain text",
        ),
        (
            of("url: a.org, username: me, password: p, helper: {command: h}"),
            "upstreams[0].helper",
            "keep one of the two",
        ),
        (of("url: a.org, certificate: /c"), "upstreams[0].certificate", "goes with its key"),
        (of("url: a.org, timeouts: {stall: 0s}"), "timeouts.stall", "more than 0"),
        (of("url: a.org, budget: {bandwidth: 0}"), "budget.bandwidth", "more than 0"),
        (of("url: a.org, identity: google"), "identity", "no registry of this cloud"),
        (
            of("url: eu.gcr.io, identity: google, username: me, password: p"),
            "identity",
            "keep one of the two",
        ),
        (of("url: 'http://localhost:5000'"), "upstreams[0].url", "this registry itself"),
        (
            format!("http: {{host: 'https://r.org'}}\n{}", of("url: 'https://r.org'")),
            "upstreams[0].url",
            "this registry itself",
        ),
    ] {
        let message = error(&yaml, &[]);
        assert!(message.contains(key) && message.contains(says), "{yaml}: {message}");
        assert!(!message.contains("me:p"), "{message}");
    }
}

#[test]
fn a_password_in_plain_text_is_for_this_machine_or_for_who_says_so() {
    for upstream in [
        "url: 'http://127.0.0.1:5001', username: me, password: p",
        "url: 'http://a.org', username: me, password: p, allowplainpassword: true",
    ] {
        let yaml = format!("mirrors: [{{prefix: hub, upstreams: [{{{upstream}}}]}}]");
        assert_eq!(config(&yaml).mirrors.len(), 1);
    }
}

#[test]
fn a_cloud_is_asked_for_its_own_registries_alone() {
    for (url, identity, is_one) in [
        ("1.dkr.ecr.eu-central-1.amazonaws.com", "amazon", true),
        ("me.azurecr.io", "azure", true),
        ("europe-docker.pkg.dev", "google", true),
        ("gcr.io", "google", true),
        ("gcr.io.example.org", "google", false),
        ("me.azurecr.io", "amazon", false),
        ("'http://127.0.0.1:5001'", "azure", true),
    ] {
        let upstream = format!("url: {url}, identity: {identity}");
        let yaml = format!("mirrors: [{{prefix: hub, upstreams: [{{{upstream}}}]}}]");
        assert_eq!(Config::parse(&yaml, []).is_ok(), is_one, "{yaml}");
    }
}

#[test]
fn another_password_of_an_upstream_waits_for_the_next_start() {
    let with = |password: &str| {
        config(&format!(
            "mirrors: [{{prefix: hub, upstreams: [{{url: a.org, username: me, password: {password}}}]}}]"
        ))
    };
    assert_eq!(Config::restart_needed(&with("one"), &with("two")), ["mirrors"]);
}
