use std::fs;
use std::path::Path;

use super::openapi::document;

#[test]
fn the_committed_description_is_that_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json");
    if std::env::var_os("BERTH_UPDATE_DOCS").is_some() {
        fs::write(&page, document()).unwrap();
    }
    let committed = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        committed == document(),
        "the description is stale: run BERTH_UPDATE_DOCS=1 cargo test -p berth-registry --lib"
    );
}
