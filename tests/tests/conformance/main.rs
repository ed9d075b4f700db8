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

/// Both embedded storage drivers; images and indexes may be sparse, which the suites can be asked to test.
fn storages() -> Result<[(&'static str, Launch); 2]> {
    let sparse = |launch: Launch| {
        launch
            .env("REGISTRY_VALIDATION_MANIFESTS_BLOBS", "optional")
            .env("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "none")
    };
    Ok([("filesystem", sparse(Launch::temporary()?)), ("inmemory", sparse(Launch::in_memory()?))])
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
