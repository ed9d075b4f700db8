//! Settings from the environment.

use std::fs;
use std::path::Path;

use berth_config::{Config, LogLevel};

use crate::{Variables, config, env, error, parse, with_env};

#[test]
fn a_variable_equals_the_key_in_the_file() {
    let cases: &[(Variables<'_>, &str)] = &[
        (&[("REGISTRY_HTTP_ADDR", "127.0.0.1:5001")], "http: {addr: '127.0.0.1:5001'}"),
        (
            &[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/data")],
            "storage: {filesystem: {rootdirectory: /data}}",
        ),
        (&[("REGISTRY_STORAGE_DELETE_ENABLED", "true")], "storage: {delete: {enabled: true}}"),
        (&[("REGISTRY_STORAGE", "inmemory")], "storage: inmemory"),
        (&[("registry_log_level", "debug")], "log: {level: debug}"),
        (&[("Registry_Log_Level", "debug")], "log: {level: debug}"),
        (&[("REGISTRY_HTTP_HEADERS", "{X-A: [b]}")], "http: {headers: {X-A: [b]}}"),
        (&[("REGISTRY_HTTP_HEADERS_X-Foo", "[a, b]")], "http: {headers: {X-Foo: [a, b]}}"),
        (&[("REGISTRY_HTTP_HEADERS_X-FOO", "[a]")], "http: {headers: {x-foo: [a]}}"),
        (
            &[("REGISTRY_HTTP_HEADERS_X-Foo_0", "a"), ("REGISTRY_HTTP_HEADERS_X-Foo_1", "b")],
            "http: {headers: {X-Foo: [a, b]}}",
        ),
        (
            &[("REGISTRY_HTTP_HEADERS_ACCESS-CONTROL-ALLOW-ORIGIN", "[\"*\"]")],
            "http: {headers: {access-control-allow-origin: ['*']}}",
        ),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0", "^https://a")],
            "validation: {manifests: {urls: {allow: ['^https://a']}}}",
        ),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_URLS_DENY", "[a, b]")],
            "validation: {manifests: {urls: {deny: [a, b]}}}",
        ),
        (
            &[
                ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS", "linux"),
                ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE", "amd64"),
            ],
            "validation: {manifests: {indexes: {platformlist: [{os: linux, architecture: amd64}]}}}",
        ),
        (&[("REGISTRY_LOG_FIELDS_SERVICE", "registry")], "log: {fields: {service: registry}}"),
        (&[("REGISTRY_LOG_FIELDS_DATA_CENTRE", "a")], "log: {fields: {data_centre: a}}"),
        (
            &[("REGISTRY_HTTP", "{draintimeout: 5s}"), ("REGISTRY_HTTP_ADDR", "[::1]:1")],
            "http: {draintimeout: 5s, addr: '[::1]:1'}",
        ),
        (
            &[("REGISTRY_HTTP_LIMITS_MANIFESTSIZE", "8388608")],
            "http: {limits: {manifestsize: 8MiB}}",
        ),
        (&[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "7")], "http: {limits: {connections: 7}}"),
        (&[("REGISTRY_HTTP_HOST", "")], ""),
        (&[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "")], ""),
    ];
    for (variables, yaml) in cases {
        assert_eq!(with_env(variables), config(yaml), "{variables:?}");
    }
}

#[test]
fn the_environment_wins_over_the_file_key_by_key() {
    let file = "\
http: {addr: '127.0.0.1:1', host: 'https://a', headers: {X-Foo: [a], X-Bar: [b]}}
validation: {manifests: {urls: {allow: [a, b]}}}
storage: {filesystem: {rootdirectory: /a}, delete: {enabled: true}}
";
    let cases: &[(Variables<'_>, &str)] = &[
        (&[("REGISTRY_HTTP_ADDR", "127.0.0.1:2")], "http.addr=127.0.0.1:2"),
        (&[("REGISTRY_HTTP_HEADERS_X-FOO", "[c]")], "http.headers={X-Bar: [b], X-Foo: [c]}"),
        (&[("REGISTRY_HTTP_HEADERS", "{X-Foo: [c]}")], "http.headers={X-Foo: [c]}"),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1", "c")],
            "validation.manifests.urls.allow=[a, c]",
        ),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_2", "c")],
            "validation.manifests.urls.allow=[a, b, c]",
        ),
        (&[("REGISTRY_HTTP_HOST", "")], "http.host=null"),
        (&[("REGISTRY_STORAGE", "filesystem")], "storage.filesystem.rootdirectory=/a"),
        (&[("REGISTRY_STORAGE", "inmemory")], "storage.filesystem=null"),
        (&[("REGISTRY_STORAGE", "inmemory")], "storage.delete.enabled=true"),
    ];
    for (variables, expected) in cases {
        let shown: serde_json::Value =
            yaml_serde::from_str(&parse(file, variables).unwrap().config.show()).unwrap();
        let (key, value) = expected.split_once('=').unwrap();
        let found = key.split('.').fold(&shown, |value, key| &value[key]);
        assert_eq!(
            *found,
            yaml_serde::from_str::<serde_json::Value>(value).unwrap(),
            "{variables:?}"
        );
    }
}

#[test]
fn list_places_are_filled_in_the_order_of_their_numbers() {
    let variables: Vec<_> = (0..12)
        .rev()
        .map(|n| (format!("REGISTRY_VALIDATION_MANIFESTS_URLS_DENY_{n}"), format!("p{n}")))
        .collect();
    let config = Config::parse("", variables).unwrap().config;
    let found: Vec<_> =
        config.validation.manifests.urls.deny.iter().map(ToString::to_string).collect();
    assert_eq!(found, (0..12).map(|n| format!("p{n}")).collect::<Vec<_>>());
}

#[test]
fn a_text_is_taken_verbatim() {
    for text in [
        "0123", "yes", "null", "~", "1.10", "1e5", "0x1F", "[a", "{a: b}", " a ", "a: b", "\"a\"",
        "#a", "\u{e9}",
    ] {
        let config = with_env(&[("REGISTRY_HTTP_SECRET", text), ("REGISTRY_LOG_FIELDS_A", text)]);
        assert_eq!(config.http.secret.as_ref().map(|secret| secret.expose()), Some(text));
        assert_eq!(config.log.fields["a"], text);
    }
}

#[test]
fn a_text_in_the_file_keeps_its_spelling() {
    let config =
        config("version: 0.1\nhttp: {secret: 0123}\nlog: {fields: {a: 1.10, b: yes, c: 0x1F}}");
    assert_eq!(config.http.secret.unwrap().expose(), "0123");
    assert_eq!(config.log.fields.values().collect::<Vec<_>>(), ["1.10", "yes", "0x1F"]);
}

#[test]
fn a_file_variable_reads_the_value_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (content, secret) in
        [("s\n", "s"), ("s", "s"), ("s\r\n", "s"), ("s\n\n", "s"), (" 0123 \n", " 0123 ")]
    {
        let config = with_env(&[("REGISTRY_HTTP_SECRET_FILE", &file("secret", content))]);
        assert_eq!(config.http.secret.unwrap().expose(), secret, "{content:?}");
    }
    let variables = [
        ("REGISTRY_HTTP_HEADERS_X-Foo_FILE", file("header", "[a]\n")),
        ("registry_log_level_file", file("level", "debug\n")),
        ("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0_FILE", file("pattern", "^a$\n")),
        ("REGISTRY_LOG_FIELDS_A_FILE", file("field", "b\n")),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let config = with_env(&variables);
    assert_eq!(config.http.headers["X-Foo"], ["a"]);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.validation.manifests.urls.allow[0].as_str(), "^a$");
    assert_eq!(config.log.fields["a"], "b");
}

#[test]
fn health_file_is_a_key_and_no_file_variable() {
    let notices = parse("", &[("REGISTRY_HEALTH_FILE", "[{file: /a}]")]).unwrap().notices;
    assert!(notices[0].starts_with("`health.file` has no effect"), "{notices:?}");
}

#[test]
fn a_variable_that_is_no_setting_is_a_notice() {
    let cases = [
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000", ""),
        ("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1", ""),
        ("REGISTRY_HTP_ADDR", ":1", "; did you mean REGISTRY_HTTP_ADDR?"),
        (
            "REGISTRY_STORAGE_DELETE_ENABLE",
            "true",
            "; did you mean REGISTRY_STORAGE_DELETE_ENABLED?",
        ),
        ("REGISTRY_", "", ""),
        ("REGISTRY__HTTP", "", "; did you mean REGISTRY_HTTP?"),
        ("REGISTRY_FILE", "/nowhere", ""),
        ("REGISTRY_HTTP_ADDR_X", "", "; did you mean REGISTRY_HTTP_ADDR?"),
        (
            "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_X",
            "a",
            "; did you mean REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW?",
        ),
    ];
    for (name, value, hint) in cases {
        let loaded = parse("", &[(name, value)]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            loaded.notices,
            [format!("the environment variable {name} is no setting and was ignored{hint}")]
        );
        assert_eq!(loaded.config, config(""), "{name}");
    }
}

#[test]
fn variables_of_others_are_not_looked_at() {
    let loaded =
        parse("", &[("PATH", "/bin"), ("REGISTRY", "x"), ("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}_", "x")])
            .unwrap();
    assert!(loaded.notices.is_empty() && loaded.origin.variables.is_empty());
}

#[test]
fn what_is_wrong_with_a_variable_is_said_with_its_name() {
    let cases: &[(Variables<'_>, &str)] = &[
        (
            &[("REGISTRY_HTTP_SECRET", "a"), ("REGISTRY_HTTP_SECRET_FILE", "/dev/null")],
            "REGISTRY_HTTP_SECRET_FILE: REGISTRY_HTTP_SECRET sets `http.secret` too: keep one of the two",
        ),
        (
            &[("REGISTRY_HTTP_ADDR", "a"), ("registry_http_addr", "b")],
            "registry_http_addr: REGISTRY_HTTP_ADDR sets `http.addr` too: keep one of the two",
        ),
        (
            &[("REGISTRY_HTTP_SECRET_FILE", "/no/such/file")],
            "REGISTRY_HTTP_SECRET_FILE: cannot read the file `/no/such/file`: No such file or directory (os error 2)",
        ),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1", "a")],
            "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1: `validation.manifests.urls.allow[1]`: item 1 cannot be set: the list has 0 items, and they count from 0",
        ),
        (
            &[("REGISTRY_STORAGE", "floppy")],
            "REGISTRY_STORAGE: `storage`: there is no storage driver `floppy`: use `azure`, `filesystem`, `gcs`, `inmemory`, `oss`, `s3` or `swift`",
        ),
        (
            &[("REGISTRY_STORAGE_DELETE_ENABLED", "maybe")],
            "REGISTRY_STORAGE_DELETE_ENABLED: `storage.delete.enabled`: it must be `true` or `false`",
        ),
        (
            &[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "-1")],
            "REGISTRY_HTTP_LIMITS_CONNECTIONS: `http.limits.connections`: invalid value: integer `-1`, expected u32",
        ),
        (&[("REGISTRY_HTTP_HEADERS", "{X-A: b}")], "REGISTRY_HTTP_HEADERS: `http.headers`: "),
        (
            &[("REGISTRY_HTTP", "{adr: a}")],
            "REGISTRY_HTTP: unknown key `http.adr`, did you mean `http.addr`?",
        ),
        (
            &[("REGISTRY_LOG_LEVEL", "loud")],
            "REGISTRY_LOG_LEVEL: `log.level`: `loud` is none of `error`, `warn`, `info`, `debug`",
        ),
        (
            &[("REGISTRY_HTTP_DRAINTIMEOUT", "60")],
            "REGISTRY_HTTP_DRAINTIMEOUT: `http.draintimeout`: `60` is not a duration: write for example `30s`, `1h30m` or `7d`",
        ),
    ];
    for (variables, expected) in cases {
        let message = error("", variables);
        assert!(message.starts_with(expected), "{variables:?}: {message}");
    }
}

#[test]
fn the_file_is_named_by_an_argument_or_by_a_variable() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, level: &str| {
        let path = directory.path().join(name);
        fs::write(&path, format!("log: {{level: {level}}}\n")).unwrap();
        path
    };
    let (argument, variable) = (write("argument.yml", "warn"), write("variable.yml", "debug"));
    let named = env(&[("REGISTRY_CONFIGURATION_PATH", variable.to_str().unwrap())]);

    let loaded = Config::load(None, named.clone()).unwrap();
    assert_eq!(
        (loaded.config.log.level, loaded.origin.file.as_deref()),
        (LogLevel::Debug, Some(variable.as_path()))
    );
    assert!(loaded.notices.is_empty(), "{:?}", loaded.notices);

    let loaded = Config::load(Some(&argument), named).unwrap();
    assert_eq!(
        (loaded.config.log.level, loaded.origin.file.as_deref()),
        (LogLevel::Warn, Some(argument.as_path()))
    );
}

#[test]
fn the_data_directory_depends_on_whether_there_is_a_file() {
    let without = Config::load(None, env(&[])).unwrap();
    assert_eq!(without.config.root_directory(), Some(Path::new("./berth-data")));
    assert_eq!(without.config.database_path().as_deref(), Some(Path::new("./berth-data/berth.db")));
    assert_eq!(without.origin.to_string(), "defaults");
    assert_eq!(Config::default().root_directory(), Some(Path::new("./berth-data")));

    let with_variable = Config::load(None, env(&[("REGISTRY_LOG_LEVEL", "debug")])).unwrap();
    assert_eq!(with_variable.config.root_directory(), Some(Path::new("./berth-data")));
    assert_eq!(with_variable.origin.to_string(), "defaults and REGISTRY_LOG_LEVEL");

    let with_file = parse("", &[]).unwrap();
    assert_eq!(with_file.config.root_directory(), Some(Path::new("/var/lib/registry")));
    assert_eq!(with_file.origin.to_string(), "config.yml");
}
