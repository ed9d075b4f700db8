//! Files and variables written for `registry:2`.

use std::path::Path;

use berth_config::{Config, Driver, LogLevel};

use crate::{Variables, config, error, parse};

/// The configuration in the official image.
const OFFICIAL: &str = "\
version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

#[test]
fn the_official_image_s_configuration_loads_once_insecure_service_is_allowed() {
    let loaded = parse(OFFICIAL, &[("REGISTRY_HTTP_ALLOWINSECURE", "true")]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.http.addr, ":5000");
    assert_eq!(config.http.headers["X-Content-Type-Options"], ["nosniff"]);
    assert_eq!(config.log.fields["service"], "registry");
    assert_eq!(config.root_directory(), Some(Path::new("/var/lib/registry")));
    assert_eq!(config.database_path().as_deref(), Some(Path::new("/var/lib/registry/berth.db")));
    assert_eq!(loaded.notices.len(), 2, "{:?}", loaded.notices);
    assert!(
        loaded.notices[0].starts_with("`storage.cache.blobdescriptor` has no effect"),
        "{:?}",
        loaded.notices
    );
    assert!(loaded.notices[1].starts_with("`http.allowinsecure` is set"), "{:?}", loaded.notices);
}

#[test]
fn the_official_image_s_configuration_alone_is_refused_with_the_key_and_the_variable_to_set() {
    let message = error(OFFICIAL, &[]);
    assert!(message.starts_with("config.yml:11:3: `http.addr`: "), "{message}");
    assert!(
        message.contains("`http.allowinsecure: true` (REGISTRY_HTTP_ALLOWINSECURE=true)"),
        "{message}"
    );
}

#[test]
fn the_official_image_s_driver_is_replaced_by_the_shorthand_variable() {
    let env = [("REGISTRY_HTTP_ALLOWINSECURE", "true"), ("REGISTRY_STORAGE", "inmemory")];
    let config = parse(OFFICIAL, &env).unwrap().config;
    assert_eq!(config.root_directory(), None);
    assert_eq!(config.database_path(), None);
}

#[test]
fn the_official_image_becomes_an_s3_deployment_by_its_variables() {
    let env = [
        ("REGISTRY_HTTP_ALLOWINSECURE", "true"),
        ("REGISTRY_STORAGE", "s3"),
        ("REGISTRY_STORAGE_S3_ACCESSKEY", "key"),
        ("REGISTRY_STORAGE_S3_SECRETKEY", "secret"),
        ("REGISTRY_STORAGE_S3_REGION", "eu-central-1"),
        ("REGISTRY_STORAGE_S3_BUCKET", "bucket"),
        ("REGISTRY_STORAGE_S3_CHUNKSIZE", "5242880"),
        ("REGISTRY_STORAGE_S3_V4AUTH", "true"),
    ];
    let loaded = parse(OFFICIAL, &env).unwrap();
    let config = &loaded.config;
    assert_eq!((config.storage.driver(), config.root_directory()), (Driver::S3, None));
    assert_eq!(config.database_path().as_deref(), Some(Path::new("/var/lib/registry/berth.db")));
    let s3 = config.storage.s3.as_ref().unwrap();
    assert_eq!((s3.bucket.as_deref(), s3.chunksize.bytes()), (Some("bucket"), 5 << 20));
    let ignored = loaded.notices.iter().filter(|line| line.contains("`storage.s3.v4auth`")).count();
    assert_eq!(ignored, 1, "{:?}", loaded.notices);
}

#[test]
fn what_cannot_be_honoured_is_refused_wherever_it_is_asked_for() {
    let cases: [(&str, Variables<'_>, &str); 3] = [
        ("auth: {silly: {realm: r}}", &[], "config.yml:1:8: `auth.silly`: "),
        ("middleware: {storage: [{name: cloudfront}]}", &[], "config.yml:1:1: `middleware`: "),
        (
            "http: {tls: {letsencrypt: {email: a@example.org}}}",
            &[],
            "config.yml:1:14: `http.tls.letsencrypt`: ",
        ),
    ];
    for (yaml, env, start) in cases {
        let message = error(yaml, env);
        assert!(message.starts_with(start), "{yaml}: {message}");
        let says_what_to_do = ["this build of berth", "remove the section"];
        assert!(says_what_to_do.iter().any(|text| message.contains(text)), "{yaml}: {message}");
    }
}

#[test]
fn empty_sections_ask_for_nothing() {
    for yaml in [
        "auth:",
        "auth: {}",
        "proxy: {remoteurl: ''}",
        "notifications: {endpoints: []}",
        "middleware:\n  registry:\n",
        "http: {tls: {certificate: '', clientcas: []}}",
        "redis: {}",
        "log:\nstorage:\nhttp:\n",
        "http: {addr: null, headers: null}",
    ] {
        let config = config(yaml);
        assert_eq!(
            Config { storage: Config::default().storage, ..config },
            Config::default(),
            "{yaml}"
        );
    }
}

#[test]
fn keys_without_meaning_are_accepted_with_one_line_each() {
    let cases = [
        ("http: {secret: s}", "`http.secret` has no effect: "),
        (
            "storage: {filesystem: {maxthreads: 100}}",
            "`storage.filesystem.maxthreads` has no effect: ",
        ),
        (
            "storage: {cache: {blobdescriptor: redis}}",
            "`storage.cache.blobdescriptor` has no effect: ",
        ),
        ("storage: {tag: {concurrencylimit: 8}}", "`storage.tag.concurrencylimit` has no effect: "),
        ("redis: {addr: 'localhost:6379', pool: {maxidle: 16}}", "`redis` has no effect: "),
        ("reporting: {bugsnag: {apikey: k}}", "`reporting` has no effect: "),
        ("compatibility: {schema1: {enabled: true}}", "`compatibility` has no effect: "),
        ("policy: {repository: {classes: [image]}}", "`policy.repository` has no effect: "),
        ("loglevel: debug", "`loglevel` has no effect: "),
        ("log: {hooks: [{type: mail}]}", "`log.hooks` has no effect: "),
        ("log: {formatter: logstash}", "`log.formatter: logstash` means `json`"),
        ("health: {tcp: [{addr: 'a:1'}]}", "`health.tcp` has no effect: "),
    ];
    for (yaml, start) in cases {
        let notices = parse(yaml, &[]).unwrap_or_else(|error| panic!("{yaml}: {error}")).notices;
        assert_eq!(notices.len(), 1, "{yaml}: {notices:?}");
        assert!(notices[0].starts_with(start), "{yaml}: {notices:?}");
    }
}

#[test]
fn both_spellings_of_a_driver_mean_the_same() {
    assert_eq!(config("storage: inmemory"), config("storage:\n  inmemory:\n"));
    assert_eq!(config("storage: inmemory"), config("storage: {inmemory: {}}"));
    assert_eq!(config("storage: filesystem"), config(""));
}

#[test]
fn booleans_are_understood_as_yaml_1_1_spells_them() {
    for (word, expected) in [
        ("true", true),
        ("yes", true),
        ("On", true),
        ("FALSE", false),
        ("no", false),
        ("off", false),
    ] {
        assert_eq!(
            config(&format!("storage: {{delete: {{enabled: {word}}}}}")).storage.delete.enabled,
            expected,
            "{word}"
        );
    }
}

#[test]
fn anchors_work() {
    let config = config("log: {level: &level debug, fields: {again: *level}}");
    assert_eq!((config.log.level, config.log.fields["again"].as_str()), (LogLevel::Debug, "debug"));
}
