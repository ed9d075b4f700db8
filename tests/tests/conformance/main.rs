//! The OCI's own conformance suites against a running registry, with everything they can be asked to test asked for.
//!
//! The suites are programs that `cargo xtask setup` builds, so these tests are ignored unless
//! `cargo xtask conformance` asks for them by name. What they report is kept under `target/tmp/conformance`.

mod current;
mod junit;
mod released;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use berth_tests::Launch;
use berth_tests::stores::Stored;

/// The embedded storage drivers, and those of object stores, each with its server; images and indexes may be sparse,
/// which the suites can be asked to test.
fn storages() -> Result<Vec<(&'static str, Launch, Option<Stored>)>> {
    let sparse = |launch: Launch| {
        launch
            .env("REGISTRY_VALIDATION_MANIFESTS_BLOBS", "optional")
            .env("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "none")
    };
    let mut storages = vec![
        ("filesystem", sparse(Launch::temporary()?), None),
        ("inmemory", sparse(Launch::in_memory()?), None),
    ];
    for stored in Stored::each()? {
        // The suite looks for our headers on every answer, and the store that it would be sent to has none of them.
        let launch = stored.launch.clone().env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true");
        storages.push((stored.name, sparse(launch), Some(stored)));
    }
    Ok(storages)
}

/// An empty directory for what one run reports.
fn results(suite: &str, storage: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("conformance")
        .join(format!("{suite}-{storage}"));
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}
