//! PostgreSQL behind PgBouncer in transaction mode.

use anyhow::Result;
use berth_test_stores::PgBouncer;
use berth_tests::Launch;
use berth_tests::load::Worker;

use crate::conformance::Suite;
use crate::group::{Blobs, Replicas};
use crate::size::Size;
use crate::{database, mixed, uploads};

/// How to start a replica behind a pooler, which must live as long.
fn pooled(blobs: &Blobs) -> Result<(Launch, PgBouncer)> {
    let server = database::shared()?;
    let pooler = PgBouncer::start(server)?;
    let launch = blobs
        .with(&pooler.url(&server.database()?))
        .env("REGISTRY_METADATA_POSTGRES_POOLING", "transaction");
    Ok((launch, pooler))
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_current_suite_passes_behind_a_pooler() -> Result<()> {
    passes(Suite::Current)
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_suite_of_release_1_1_1_passes_behind_a_pooler() -> Result<()> {
    passes(Suite::Release)
}

fn passes(suite: Suite) -> Result<()> {
    let blobs = Blobs::in_a_bucket()?;
    let (launch, _pooler) = pooled(&blobs)?;
    suite.passes("replicas-pooler", &launch)
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn a_mixed_load_runs_behind_a_pooler() -> Result<()> {
    let size = Size::from_environment();
    let blobs = Blobs::in_a_bucket()?;
    let (launch, _pooler) = pooled(&blobs)?;
    let replicas = Replicas::start(&launch, 8)?;
    uploads::upload_in_peace(replicas.address(), size.uploads / 5)?;
    let mut workers: Vec<Worker> = (0..8).map(|number| Worker::new(number, 9)).collect();
    mixed::work(&replicas, &mut workers, size.calm)?;
    replicas.stop()
}
