//! What is refused, and in which words.

use std::path::Path;

use berth_config::{Config, ConfigError};

use crate::{config, env, error, parse};

#[test]
fn a_mistake_is_told_with_its_place_and_key() {
    let cases = [
        ("http:\n  adr: x\n", "config.yml:2:3: unknown key `http.adr`, did you mean `http.addr`?"),
        ("htp: {}\n", "config.yml:1:1: unknown key `htp`, did you mean `http`?"),
        (
            "storage:\n  filesystem:\n    root: /a\n",
            "config.yml:3:5: unknown key `storage.filesystem.root`",
        ),
        (
            "storage: {filesystem: {rootdir: /a}}",
            "config.yml:1:24: unknown key `storage.filesystem.rootdir`",
        ),
        (
            "maxentries: 1\n",
            "config.yml:1:1: unknown key `maxentries`, did you mean `catalog.maxentries`?",
        ),
        ("something: null\n", "config.yml:1:1: unknown key `something`"),
        (
            "validation: {manifests: {indexes: {platformlist: [{os: linux}, {arch: arm}]}}}",
            "config.yml:1:65: unknown key `validation.manifests.indexes.platformlist[1].arch`",
        ),
        (
            "http:\n  addr: a\n  addr: b\n",
            "config.yml:3:3: http: the key `addr` is there twice: keep one",
        ),
        ("log: {}\nhttp: {}\nlog: {}\n", "config.yml:3:1: the key `log` is there twice: keep one"),
        (
            "log: {fields: {a: b, a: c}}",
            "config.yml:1:22: log.fields: the key `a` is there twice: keep one",
        ),
        ("a: [", "config.yml:2:1: "),
        ("http: 4\n", "config.yml:1:7: "),
        ("- a\n", "config.yml:1:1: "),
        ("log: {}\n---\nlog: {}\n", "config.yml: "),
        (
            "log:\n  level: loud\n",
            "config.yml:2:3: `log.level`: `loud` is none of `error`, `warn`, `info`, `debug`",
        ),
        (
            "http: {limits: {connections: many}}",
            "config.yml:1:17: `http.limits.connections`: it must be a whole number",
        ),
        (
            "storage: {delete: {enabled: 2}}",
            "config.yml:1:20: `storage.delete.enabled`: it must be `true` or `false`",
        ),
        (
            "http:\n  limits:\n    manifestsize: 4Mega\n",
            "config.yml:3:5: `http.limits.manifestsize`: `4Mega` is not a size: write for example `4MiB`, `32KiB` or a number of bytes",
        ),
        (
            "http: {draintimeout: 60}",
            "config.yml:1:8: `http.draintimeout`: `60` is not a duration: write for example `30s`, `1h30m` or `7d`",
        ),
        (
            "validation: {manifests: {urls: {allow: [a, '(']}}}",
            "config.yml:1:44: `validation.manifests.urls.allow[1]`: `(` is not a regular expression: ",
        ),
        ("version: 0.2\n", "config.yml:1:1: `version`: there is no version `0.2`: write `0.1`"),
        (
            "storage: floppy\n",
            "config.yml:1:1: `storage`: there is no storage driver `floppy`: use `azure`, `filesystem`, `gcs`, `inmemory`, `oss`, `s3` or `swift`",
        ),
        (
            "storage: {filesystem: {}, inmemory: {}}",
            "config.yml:1:1: `storage`: there can be one storage driver, and `filesystem` and `inmemory` are named: ",
        ),
        (
            "storage: inmemory\nmetadata: {sqlite: {path: /a}}",
            "config.yml:2:21: `metadata.sqlite.path`: blobs in memory are gone at the next start",
        ),
        (
            "storage: {filesystem: {rootdirectory: ''}}",
            "config.yml:1:24: `storage.filesystem.rootdirectory`: it must not be empty",
        ),
        (
            "http: {limits: {bodytimeout: 0s}}",
            "config.yml:1:17: `http.limits.bodytimeout`: it must be more than 0",
        ),
        (
            "catalog: {maxentries: 0}",
            "config.yml:1:11: `catalog.maxentries`: it must be more than 0",
        ),
        ("engine: {keep: 0s}", "config.yml:1:10: `engine.keep`: it must be more than 0"),
        (
            "engine: {dataroot: berth}",
            "config.yml:1:10: `engine.dataroot`: the engine is called from other folders than this service: write the whole path, from `/`",
        ),
        (
            "storage: inmemory\nengine: {dataroot: /var/lib/berth}",
            "config.yml:2:10: `engine.dataroot`: layers are made ready of blobs that are files on this machine: remove this key, or use `storage.filesystem`",
        ),
        (
            "http: {host: registry.example.org}",
            "config.yml:1:8: `http.host`: `registry.example.org` is not a URL: ",
        ),
        ("http: {host: 'https://'}", "config.yml:1:8: `http.host`: "),
        ("http: {prefix: registry}", "config.yml:1:8: `http.prefix`: `registry` is not a path: "),
        (
            "http: {headers: {'X Y': [a]}}",
            "config.yml:1:8: `http.headers`: `X Y` is not the name of a header",
        ),
        (
            "http: {headers: {X: [\"a\\nb\"]}}",
            "config.yml:1:8: `http.headers`: the value of `X` holds a control character",
        ),
        (
            "http: {debug: {prometheus: {path: metrics}}}",
            "config.yml:1:29: `http.debug.prometheus.path`: ",
        ),
        (
            "http: {debug: {addr: '127.0.0.1:5000'}}",
            "config.yml:1:16: `http.debug.addr`: it must differ from `http.addr`",
        ),
        (
            "http: {net: unix, addr: ''}",
            "config.yml:1:19: `http.addr`: `net: unix` needs the path of a socket",
        ),
        ("http: {addr: '5000'}", "config.yml:1:8: `http.addr`: `5000` is not an address: "),
    ];
    for (yaml, expected) in cases {
        let message = error(yaml, &[]);
        assert!(message.starts_with(expected), "{yaml}\n  is {message}\n  not {expected}");
    }
}

#[test]
fn an_address_that_others_reach_must_be_allowed_in_words() {
    for addr in
        [":5000", "0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000", "registry.example.org:5000"]
    {
        for key in ["addr", "debug: {addr"] {
            let close = if key == "addr" { "" } else { "}" };
            let yaml = format!("http: {{{key}: '{addr}'{close}}}");
            let message = error(&yaml, &[]);
            assert!(message.contains("REGISTRY_HTTP_ALLOWINSECURE=true"), "{yaml}: {message}");
            assert!(parse(&yaml, &[("REGISTRY_HTTP_ALLOWINSECURE", "true")]).is_ok(), "{yaml}");
        }
    }
    for addr in ["127.0.0.1:5000", "127.8.9.1:0", "[::1]:5000", "localhost:5000", "LOCALHOST:5000"]
    {
        config(&format!("http: {{addr: '{addr}'}}"));
    }
    config("http: {net: unix, addr: /run/berth.sock}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Some(Path::new("/no/such.yml")), env(&[])).unwrap_err();
    assert!(
        matches!(&error, ConfigError::Unreadable { path, .. } if path == Path::new("/no/such.yml"))
    );
    assert_eq!(
        error.to_string(),
        "cannot read the configuration file /no/such.yml: No such file or directory (os error 2)"
    );
}

#[test]
fn a_secret_is_in_no_message_and_no_output() {
    let loaded =
        parse("http: {secret: hunter2}", &[("REGISTRY_REDIS_PASSWORD", "hunter2")]).unwrap();
    let shown = loaded.config.show();
    assert!(shown.contains("secret: <redacted>"), "{shown}");
    let everything = format!("{shown}{:?}{:?}{}", loaded.config, loaded.notices, loaded.origin);
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[test]
fn aliases_cannot_blow_up_memory() {
    let mut bomb = "redis:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let previous = format!("*a{}, ", n - 1).repeat(9);
        bomb.push_str(&format!("  a{n}: &a{n} [{previous}]\n"));
    }
    let message = error(&bomb, &[]);
    assert!(message.contains("repetition limit"), "{message}");
}
