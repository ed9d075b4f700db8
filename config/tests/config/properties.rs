//! What holds for any input.

use berth_config::{Config, ConfigError};
use proptest::prelude::*;

use crate::keys::{Scalar, scalars};

/// Texts that YAML would take for something else, and any other printable ones.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "0123",
            "yes",
            "null",
            "~",
            "1.10",
            "true",
            "1e5",
            "[a",
            "a: b",
            "- a",
            "#",
            "'",
            "0.1",
            "/",
            "127.0.0.1:7"
        ])
        .prop_map(str::to_owned),
        "\\PC{1,12}",
    ]
}

/// A key and a text for it, mostly of the right kind.
fn any_setting() -> impl Strategy<Value = (Scalar, String)> {
    prop::sample::select(scalars()).prop_flat_map(|key| {
        let fitting = if !key.choices().is_empty() {
            prop::sample::select(key.choices()).boxed()
        } else if key.is("boolean") {
            any::<bool>().prop_map(|value| value.to_string()).boxed()
        } else if key.is("string") {
            match key.schema["x-berth-type"].as_str() {
                Some("duration") => {
                    (0..10_000u32).prop_map(|seconds| format!("{seconds}s")).boxed()
                }
                Some("size") => (0..10_000u32).prop_map(|size| format!("{size}KiB")).boxed(),
                _ => any_text().boxed(),
            }
        } else {
            any::<i64>().prop_map(|value| value.to_string()).boxed()
        };
        let text = prop_oneof![4 => fitting, 1 => any_text()];
        (Just(key), text)
    })
}

/// The key and the message of an error, without the place.
fn complaint(error: &ConfigError) -> Option<(&str, &str)> {
    match error {
        ConfigError::Invalid { key, message, .. }
        | ConfigError::NotInThisBuild { key, message, .. } => Some((key, message)),
        _ => None,
    }
}

/// The scalar as a YAML file would have it: a text in quotes, anything else as it is.
fn in_yaml(key: &Scalar, text: &str) -> yaml_serde::Value {
    if key.is("boolean") || key.is("integer") && !key.is("string") {
        match text.trim_start() {
            "" => yaml_serde::Value::Null,
            comment if comment.starts_with('#') => yaml_serde::Value::Null,
            _ => yaml_serde::from_str(text).unwrap_or_else(|_| yaml_serde::Value::from(text)),
        }
    } else {
        yaml_serde::Value::from(text)
    }
}

fn any_name() -> impl Strategy<Value = String> {
    let words: Vec<String> = scalars()
        .into_iter()
        .flat_map(|key| key.steps)
        .chain(["auth", "s3", "FILE", "1", "x-y", ""].map(str::to_owned))
        .collect();
    let known = prop::collection::vec(prop::sample::select(words), 1..6)
        .prop_map(|words| format!("REGISTRY_{}", words.join("_")));
    let declared = prop::sample::select(scalars()).prop_map(|key| key.variable());
    prop_oneof![known, declared, "REGISTRY_\\PC{0,12}", "\\PC{0,12}"]
}

fn any_yaml() -> impl Strategy<Value = String> {
    let tokens = [
        "http", "storage", "log", "fields", ": ", ":\n  ", "\n", "\n  ", "\n    ", "- ", "[", "]",
        "{", "}", ", ", "&a ", "*a", "!!str ", "'", "\"", "null", "|\n", "<<", "? ", "%", "---\n",
        "\t", "0x", "\u{feff}",
    ];
    let nonsense = prop::collection::vec(prop::sample::select(tokens.to_vec()), 0..24)
        .prop_map(|tokens| tokens.concat());
    let example = include_str!("../../examples/config.yml");
    let damaged =
        (0..example.len(), 0..example.len(), any::<char>()).prop_map(|(from, length, insert)| {
            let end = (from + length % 40).min(example.len());
            format!("{}{insert}{}", &example[..from], &example[end..])
        });
    prop_oneof![nonsense, damaged, any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_key_means_the_same_in_the_environment_and_in_the_file((key, text) in any_setting()) {
        let from_file = Config::parse(&key.document(in_yaml(&key, &text)), []);
        let from_env = Config::parse("", [(key.variable(), text.clone())]);
        match (from_file, from_env) {
            (Ok(file), Ok(env)) => {
                prop_assert_eq!(file.config, env.config);
                prop_assert_eq!(file.notices, env.notices);
            }
            (Err(file), Err(env)) => {
                if let (Some(file), Some(env)) = (complaint(&file), complaint(&env)) {
                    prop_assert_eq!(file, env);
                }
            }
            (file, env) => prop_assert!(false, "{} = {text:?}: {file:?} in the file, {env:?} in the environment", key.dotted()),
        }
    }

    #[test]
    fn nothing_makes_the_loader_panic(yaml in any_yaml(), env in prop::collection::vec((any_name(), any_text()), 0..4)) {
        if let Ok(loaded) = Config::parse(&yaml, env) {
            prop_assert!(loaded.config.http.listen().is_ok());
            prop_assert!(Config::restart_needed(&loaded.config, &loaded.config).is_empty());
        }
    }
}

#[test]
fn the_property_covers_lists_and_maps() {
    let names: Vec<_> = scalars().iter().map(Scalar::variable).collect();
    for name in [
        "REGISTRY_HTTP_HEADERS_X-NAME_0",
        "REGISTRY_LOG_FIELDS_X-NAME",
        "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_VARIANT",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
        "REGISTRY_METADATA_SQLITE_CACHESIZE",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
}
