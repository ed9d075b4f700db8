//! What a reload can apply.

use berth_config::Config;

use crate::config;

#[test]
fn changes_that_need_a_restart_are_named() {
    let cases: [(&str, &[&str]); 21] = [
        ("", &[]),
        ("log: {level: debug, accesslog: {disabled: true}}", &[]),
        ("storage: {delete: {enabled: true}, maintenance: {readonly: {enabled: true}}}", &[]),
        ("http: {headers: {X: [a]}, limits: {connections: 1, manifestsize: 1MiB}}", &[]),
        ("validation: {disabled: true, manifests: {indexes: {platforms: none}}}", &[]),
        ("catalog: {maxentries: 1}", &[]),
        ("engine: {keep: 1h}", &["engine.keep"]),
        ("http: {secret: s}", &[]),
        ("storage: {filesystem: {maxthreads: 1}}", &[]),
        ("http: {addr: 'localhost:1'}", &["http.addr"]),
        ("http: {host: 'https://a'}", &["http.host"]),
        ("log: {formatter: json}", &["log.formatter"]),
        ("log: {fields: {a: b}}", &["log.fields"]),
        ("storage: {filesystem: {rootdirectory: /a}}", &["storage.filesystem.rootdirectory"]),
        (
            "storage: {maintenance: {uploadpurging: {age: 1h}}}",
            &["storage.maintenance.uploadpurging.age"],
        ),
        ("storage: inmemory", &["storage.filesystem", "storage.inmemory"]),
        (
            "storage: {s3: {bucket: b, region: r}}",
            &["metadata.sqlite.path", "storage.filesystem", "storage.s3"],
        ),
        ("storage: {redirect: {except: [10.0.0.0/8]}}", &["storage.redirect.except"]),
        (
            "metadata: {sqlite: {path: /a, readers: 9}}",
            &["metadata.sqlite.path", "metadata.sqlite.readers"],
        ),
        ("health: {storagedriver: {threshold: 9}}", &["health.storagedriver.threshold"]),
        (
            "http: {debug: {addr: 'localhost:1'}, draintimeout: 1s}",
            &["http.debug.addr", "http.draintimeout"],
        ),
    ];
    for (yaml, expected) in cases {
        assert_eq!(Config::restart_needed(&config(""), &config(yaml)), expected, "{yaml}");
        assert_eq!(
            Config::restart_needed(&config(yaml), &config("")),
            expected,
            "back from {yaml}"
        );
        assert!(Config::restart_needed(&config(yaml), &config(yaml)).is_empty(), "{yaml}");
    }
}

#[test]
fn a_new_secret_of_a_store_needs_a_restart_though_it_shows_alike() {
    let with = |secret: &str| {
        config(&format!(
            "storage: {{s3: {{bucket: b, region: r, accesskey: a, secretkey: {secret}}}}}"
        ))
    };
    assert_eq!(Config::restart_needed(&with("x"), &with("y")), ["storage.s3"]);
    assert!(Config::restart_needed(&with("x"), &with("x")).is_empty());
}
