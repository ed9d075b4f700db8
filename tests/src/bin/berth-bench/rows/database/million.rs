//! A million tags: how long they take to move to PostgreSQL, and the first pages of listings on both.

use anyhow::Result;

use super::super::growth::listings;
use super::super::{Row, command, in_turn, stop_all};
use super::ON_POSTGRES;
use crate::Bench;
use crate::million::Names;
use crate::peers::{BERTH, Launch};
use crate::results::{Metric, RowRun};

/// What is asked for, in the words of the page.
pub(crate) const TAG_PAGE: &str = "first page of tags";
pub(crate) const CATALOG_PAGE: &str = "first page of the catalog";
pub(crate) const REFERRERS_PAGE: &str = "first page of referrers";
pub(crate) const MIGRATION: &str = "berth metadata migrate";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let row = Row::DatabaseMillion;
    let Some(postgres) = super::postgres(bench, row, run)? else { return Ok(()) };
    let names = Names { tags: bench.settings.tags[1] };
    let prepared = names.prepare(&bench.cache)?;
    run.setting(format!(
        "{} tags and {} manifests, half of the tags in one repository and half over {} others; `n=100` of tags and of the \
         catalog, all {} referrers of one manifest; {} listings a round, one after the other on one connection, {} \
         rounds; the migration is from SQLite, both passes and the comparison of all rows",
        names.tags,
        names.manifests(),
        names.repositories(),
        Names::REFERRERS,
        bench.settings.listings,
        bench.settings.rounds,
    ));
    // The migration closes what it was made from.
    let launch = row.launch(bench, BERTH)?;
    launch.copy_database(&prepared)?;
    let url = postgres.database()?;
    let values = migrate(bench, &launch, &url)?;
    run.record(MIGRATION, ON_POSTGRES, 0, &values);
    launch.copy_database(&prepared)?;
    let berth = bench.berth()?;
    let servers = vec![berth.start(&launch)?, super::start_on(bench, row, &url)?];
    let cases = [
        (TAG_PAGE, format!("/v2/{}/tags/list?n=100", Names::LARGE)),
        (CATALOG_PAGE, "/v2/_catalog?n=100".to_owned()),
        (REFERRERS_PAGE, format!("/v2/{}/referrers/{}", Names::LARGE, names.subject())),
    ];
    for round in 0..bench.settings.rounds {
        for server in in_turn(&servers, round) {
            for (case, path) in &cases {
                let values = listings(server, std::slice::from_ref(path), bench.settings.listings)?;
                run.record(case, &server.name, round, &values);
            }
        }
    }
    stop_all(servers)
}

fn migrate(bench: &Bench, launch: &Launch, url: &str) -> Result<Vec<(Metric, f64)>> {
    command::measure(bench.berth()?.tool(launch, &["metadata", "migrate", "--to", url])?)
}
