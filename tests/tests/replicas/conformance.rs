//! The OCI's own suites, each of whose requests goes to whichever replica chance picks.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use berth_tests::Launch;
use berth_tests::conformance::{current, released, sparse};

use crate::database;
use crate::group::{Blobs, Replicas};

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_current_suite_passes_where_blobs_are_in_a_bucket() -> Result<()> {
    in_a_bucket(Suite::Current)
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_suite_of_release_1_1_1_passes_where_blobs_are_in_a_bucket() -> Result<()> {
    in_a_bucket(Suite::Release)
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_current_suite_passes_where_blobs_are_in_a_shared_folder() -> Result<()> {
    in_a_folder(Suite::Current)
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_suite_of_release_1_1_1_passes_where_blobs_are_in_a_shared_folder() -> Result<()> {
    in_a_folder(Suite::Release)
}

fn in_a_bucket(suite: Suite) -> Result<()> {
    let blobs = Blobs::in_a_bucket()?;
    suite.passes("replicas-bucket", &blobs.with(&database::shared()?.database()?))
}

fn in_a_folder(suite: Suite) -> Result<()> {
    let blobs = Blobs::in_a_folder()?;
    suite.passes("replicas-folder", &blobs.with(&database::shared()?.database()?))
}

/// One of the suites.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Suite {
    /// The one that is being written.
    Current,
    /// That of release 1.1.1.
    Release,
}

impl Suite {
    /// Runs it through a balancer; every replica must have had a part in it.
    pub(crate) fn passes(self, name: &str, launch: &Launch) -> Result<()> {
        let replicas = Replicas::start(&sparse(launch.clone()), 1)?;
        let host = replicas.address().to_string();
        let results = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("conformance")
            .join(format!("{self:?}-{name}").to_lowercase());
        fs::create_dir_all(&results)?;
        let complaints = match self {
            Self::Current => current(name, &host, &results)?,
            Self::Release => released("v1.1.1", name, &host, &results)?,
        };
        ensure!(complaints.is_empty(), "the suite does not pass:\n{}", complaints.join("\n"));
        let requests = replicas.requests();
        println!("requests of each replica: {requests:?}");
        ensure!(requests.iter().all(|requests| *requests > 20), "{requests:?}");
        replicas.stop()
    }
}
