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
fn the_suites_pass_through_a_balancer_where_blobs_are_in_a_bucket() -> Result<()> {
    let blobs = Blobs::in_a_bucket()?;
    pass("replicas-bucket", &blobs.with(&database::shared()?.database()?))
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_suites_pass_through_a_balancer_where_blobs_are_in_a_shared_folder() -> Result<()> {
    let blobs = Blobs::in_a_folder()?;
    pass("replicas-folder", &blobs.with(&database::shared()?.database()?))
}

/// Runs the current suite and that of release 1.1.1; every replica must have had a part in it.
pub(crate) fn pass(name: &str, launch: &Launch) -> Result<()> {
    let replicas = Replicas::start(&sparse(launch.clone()), 1)?;
    let host = replicas.address().to_string();
    let results = |suite: &str| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance");
        let folder = folder.join(format!("{suite}-{name}"));
        fs::create_dir_all(&folder).map(|()| folder)
    };
    let mut complaints = current(name, &host, &results("current")?)?;
    complaints.extend(released("v1.1.1", name, &host, &results("v1.1.1")?)?);
    ensure!(complaints.is_empty(), "the suites do not pass:\n{}", complaints.join("\n"));
    let requests = replicas.requests();
    println!("requests of each replica: {requests:?}");
    ensure!(requests.iter().all(|requests| *requests > 100), "{requests:?}");
    replicas.stop()
}
