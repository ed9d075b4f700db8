//! The reference page and the example in it.

use std::fs;
use std::path::Path;

use berth_config::reference_markdown;

use crate::keys::scalars;
use crate::parse;

const EXAMPLE: &str = include_str!("../../examples/config.yml");

const STORES: [&str; 5] = [
    include_str!("../../examples/s3.yml"),
    include_str!("../../examples/azure.yml"),
    include_str!("../../examples/gcs.yml"),
    include_str!("../../examples/swift.yml"),
    include_str!("../../examples/oss.yml"),
];

#[test]
fn the_committed_page_is_what_the_schema_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/configuration.md");
    let rendered = reference_markdown();
    if std::env::var_os("BERTH_UPDATE_DOCS").is_some() {
        fs::create_dir_all(page.parent().unwrap()).unwrap();
        fs::write(&page, &rendered).unwrap();
    }
    let committed = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        committed == rendered,
        "the page is stale: run BERTH_UPDATE_DOCS=1 cargo test -p berth-config"
    );
}

#[test]
fn the_examples_load_without_a_notice() {
    for example in std::iter::once(EXAMPLE).chain(STORES) {
        let loaded = parse(example, &[]).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert!(loaded.notices.is_empty(), "{:?}", loaded.notices);
    }
}

#[test]
fn the_examples_show_every_key_that_has_an_effect() {
    let examples: Vec<serde_json::Value> = std::iter::once(EXAMPLE)
        .chain(STORES)
        .map(|example| yaml_serde::from_str(example).unwrap())
        .collect();
    // Keys that do not go with others are there as comments.
    let comments: Vec<&str> = std::iter::once(&EXAMPLE)
        .chain(&STORES)
        .flat_map(|example| example.lines())
        .filter_map(|line| line.trim().strip_prefix("# "))
        .map(str::trim_start)
        .collect();
    for key in scalars() {
        let ignored = key.schema.get("x-berth-ignored").is_some();
        let named: Vec<_> =
            key.steps.iter().take_while(|step| *step != "x-name" && *step != "0").collect();
        let found = examples
            .iter()
            .any(|example| !named.iter().fold(example, |value, step| &value[step]).is_null());
        let mentioned = comments
            .iter()
            .any(|line| named.last().is_some_and(|name| line.starts_with(&format!("{name}: "))));
        assert!(ignored || found || mentioned, "{} is not in the examples", key.dotted());
    }
}

#[test]
fn every_key_is_described() {
    for key in scalars() {
        // Items of lists and maps are described by what holds them.
        let is_item = key.steps.last().is_some_and(|step| step == "0" || step == "x-name");
        assert!(
            is_item || key.schema["description"].as_str().is_some_and(|text| text.len() > 10),
            "{}",
            key.dotted()
        );
    }
}

#[test]
fn no_key_holds_an_underscore_or_an_upper_case_letter() {
    for key in scalars() {
        for step in &key.steps {
            assert!(!step.contains(|c: char| c == '_' || c.is_uppercase()), "{}", key.dotted());
        }
    }
}
