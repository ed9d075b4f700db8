//! Each way in which a machine or a pod comes by the credentials of its object store: the real binary, with no
//! environment but what that way has.

mod azure;
mod gcs;
mod oss;
mod s3;

use std::path::Path;

use anyhow::{Result, ensure};

use berth_tests::refusal::berth;

/// Settings and variables, by name.
type Environment<'a> = Vec<(&'a str, String)>;

/// The words of `berth config check`, which must find the store good.
fn check(environment: &Environment<'_>) -> Result<String> {
    let output = run(environment)?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ended with {}: {told}{errors}", output.status);
    ensure!(told.contains("objects can be written, and read whole and in part"), "{told}");
    Ok(told)
}

fn run(environment: &Environment<'_>) -> Result<std::process::Output> {
    let directory = tempfile::tempdir()?;
    let mut environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    environment.push(("REGISTRY_METADATA_SQLITE_PATH", "berth.db"));
    berth(directory.path(), &["config", "check"], &environment)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
