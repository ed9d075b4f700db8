//! What sections mean.

use std::path::PathBuf;

use berth_config::{Config, Listen, Platform};

use crate::config;

#[test]
fn the_default_is_a_working_registry() {
    let default = Config::default();
    assert_eq!(
        default.http.listen(),
        Ok(Listen::Tcp { host: Some("127.0.0.1".to_owned()), port: 5000 })
    );
    assert_eq!(default.http.limits.manifestsize.bytes(), 4 << 20);
    assert_eq!(default.http.limits.uploadmemory.bytes(), 24 << 20);
    assert_eq!(default.storage.maintenance.uploadpurging.age.get().as_secs(), 7 * 24 * 3600);
    assert!(!default.storage.delete.enabled);
    assert_eq!(Config::load(None, []).unwrap().config.http, default.http);
}

#[test]
fn what_show_prints_loads_to_the_same() {
    for yaml in [
        "",
        "storage: inmemory",
        "http: {headers: {X: ['yes']}, draintimeout: 90s}",
        include_str!("../../examples/config.yml"),
    ] {
        let first = config(yaml);
        assert_eq!(config(&first.show()), first, "{}", first.show());
    }
}

#[test]
fn addresses_parse_as_go_writes_them() {
    let tcp = |host: Option<&str>, port| Some(Listen::Tcp { host: host.map(str::to_owned), port });
    let cases = [
        (":5000", tcp(None, 5000)),
        ("0.0.0.0:80", tcp(Some("0.0.0.0"), 80)),
        ("127.0.0.1:0", tcp(Some("127.0.0.1"), 0)),
        ("[::1]:5000", tcp(Some("::1"), 5000)),
        ("localhost:65535", tcp(Some("localhost"), 65535)),
        ("", None),
        ("5000", None),
        ("localhost", None),
        ("localhost:", None),
        (":+5", None),
        (":65536", None),
        ("::1:5000", None),
        ("[::1]", None),
        ("[localhost]:1", None),
        ("a b:1", None),
        ("http://a:1", None),
    ];
    for (addr, expected) in cases {
        assert_eq!(Listen::tcp(addr).ok(), expected, "{addr}");
    }
    assert_eq!(
        config("http: {net: unix, addr: /run/b.sock}").http.listen(),
        Ok(Listen::Unix(PathBuf::from("/run/b.sock")))
    );
}

#[test]
fn locations_are_relative_unless_a_host_says_otherwise() {
    let url = |yaml: &str| config(yaml).http.external_url().map(str::to_owned);
    assert_eq!(url(""), None);
    assert_eq!(url("http: {host: 'https://a.example/'}").as_deref(), Some("https://a.example"));
    assert_eq!(url("http: {host: 'https://a.example', relativeurls: true}"), None);
    assert_eq!(url("http: {host: ''}"), None);
}

#[test]
fn a_prefix_has_no_slash_at_its_end() {
    for (yaml, expected) in [
        ("", ""),
        ("http: {prefix: /}", ""),
        ("http: {prefix: /a/b/}", "/a/b"),
        ("http: {prefix: /a}", "/a"),
    ] {
        assert_eq!(config(yaml).http.path_prefix(), expected, "{yaml}");
    }
}

#[test]
fn foreign_urls_follow_the_lists() {
    let cases = [
        ("", "https://a", true),
        ("validation: {enabled: true}", "https://a", false),
        ("validation: {disabled: true}", "https://a", true),
        ("validation: {enabled: false}", "https://a", true),
        ("validation: {enabled: true, disabled: true}", "https://a", false),
        ("validation: {manifests: {urls: {allow: ['^https://a']}}}", "https://a/b", true),
        ("validation: {manifests: {urls: {allow: ['^https://a']}}}", "https://b", false),
        ("validation: {manifests: {urls: {deny: ['^http:']}}}", "https://b", true),
        ("validation: {manifests: {urls: {deny: ['^http:']}}}", "http://b", false),
        (
            "validation: {manifests: {urls: {allow: ['^https://a'], deny: ['c$']}}}",
            "https://a/c",
            false,
        ),
        (r"validation: {manifests: {urls: {allow: ['(?i)^HTTPS://\w+$']}}}", "https://a", true),
    ];
    for (yaml, url, expected) in cases {
        assert_eq!(config(yaml).validation.permits_url(url), expected, "{yaml} {url}");
    }
}

#[test]
fn children_of_an_index_are_required_as_the_setting_says() {
    let platform = |architecture: &str, variant: Option<&str>| Platform {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        variant: variant.map(str::to_owned),
    };
    let list = "validation: {manifests: {indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}, {architecture: arm, os: linux, variant: v7}]}}}";
    let cases = [
        ("", Some(platform("riscv64", None)), true),
        ("", None, true),
        (
            "validation: {manifests: {indexes: {platforms: none}}}",
            Some(platform("amd64", None)),
            false,
        ),
        ("validation: {disabled: true}", Some(platform("amd64", None)), false),
        (list, Some(platform("amd64", None)), true),
        (list, Some(platform("amd64", Some("v3"))), true),
        (list, Some(platform("arm", Some("v7"))), true),
        (list, Some(platform("arm", Some("v6"))), false),
        (list, Some(platform("arm64", None)), false),
        (list, None, false),
    ];
    for (yaml, platform, expected) in cases {
        assert_eq!(
            config(yaml).validation.requires_child(platform.as_ref()),
            expected,
            "{yaml} {platform:?}"
        );
    }
}
