//! The reference page and the example in it.

use std::fs;
use std::path::Path;

use berth_config::reference_markdown;

use crate::keys::scalars;
use crate::parse;

const EXAMPLE: &str = include_str!("../../examples/config.yml");

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
fn the_example_loads_without_a_notice() {
    let loaded = parse(EXAMPLE, &[]).unwrap();
    assert!(loaded.notices.is_empty(), "{:?}", loaded.notices);
}

#[test]
fn the_example_shows_every_key_that_has_an_effect() {
    let example: serde_json::Value = yaml_serde::from_str(EXAMPLE).unwrap();
    for key in scalars() {
        let ignored = key.schema.get("x-berth-ignored").is_some();
        let named = key.steps.iter().take_while(|step| *step != "x-name" && *step != "0");
        let found = named.fold(&example, |value, step| &value[step]);
        assert!(ignored || !found.is_null(), "{} is not in the example", key.dotted());
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
