//! Manifest GET where every answer is looked up in PostgreSQL, beside SQLite with its cache.

use std::time::Duration;

use anyhow::Result;

use super::super::manifests::{BY_DIGEST, BY_TAG, measure};
use super::super::{Row, in_turn, stop_all};
use crate::Bench;
use crate::content::{Image, MANIFEST_TYPE};
use crate::results::RowRun;

const REPOSITORY: &str = "bench/image";
const TAG: &str = "latest";
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let row = Row::DatabaseReads;
    let Some(postgres) = super::postgres(bench, row, run)? else { return Ok(()) };
    let image = Image::new();
    let by_tag = format!("/v2/{REPOSITORY}/manifests/{TAG}");
    let by_digest = format!("/v2/{REPOSITORY}/manifests/{}", image.digest);
    let cases = [(BY_TAG, by_tag.as_str()), (BY_DIGEST, by_digest.as_str())];
    let mut servers = row.start(bench, |peer| peer.name == crate::peers::BERTH)?;
    servers.push(super::start_on(bench, row, &postgres.database()?)?);
    for server in &servers {
        server.store_image(REPOSITORY, TAG, &image)?;
        for (_, path) in cases {
            server.verify(path, &image.manifest, MANIFEST_TYPE)?;
            measure(bench, server, path, WARM_UP)?;
        }
    }
    for round in 0..bench.settings.rounds {
        for server in in_turn(&servers, round) {
            for (case, path) in cases {
                let values = measure(bench, server, path, bench.settings.manifest_time)?;
                run.record(case, &server.name, round, &values);
            }
        }
    }
    stop_all(servers)
}
