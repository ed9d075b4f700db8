//! Rows of Berth on its two databases.

pub(crate) mod million;
pub(crate) mod reads;
pub(crate) mod writes;

use anyhow::Result;
use berth_test_stores::Postgres;

use super::Row;
use crate::Bench;
use crate::peers::Server;
use crate::results::RowRun;

/// Berth with its names in PostgreSQL, where `berth` alone has them in SQLite.
pub(crate) const ON_POSTGRES: &str = "berth, PostgreSQL";

/// What the page says about it.
const SETTINGS: &str = "`berth` has its names in SQLite, `berth, PostgreSQL` in PostgreSQL 15 on this machine, with \
    Debian's settings, every commit synced, over loopback; the processor is shared by all; blobs are in files";

/// A PostgreSQL on the disk that is measured; the row says so if there is none.
fn postgres(bench: &Bench, row: Row, run: &mut RowRun) -> Result<Option<Postgres>> {
    let folder = bench.folder(row, "postgres")?;
    match Postgres::options().folder(&folder).start() {
        Ok(server) => {
            run.setting(SETTINGS);
            Ok(Some(server))
        }
        Err(error) => {
            run.note(format!("PostgreSQL does not start here, so nothing was measured: {error:#}"));
            Ok(None)
        }
    }
}

/// Starts a Berth on a database of that server.
fn start_on(bench: &Bench, row: Row, url: &str) -> Result<Server> {
    let mut peer = bench.berth()?.clone();
    peer.name = ON_POSTGRES.to_owned();
    peer.start(&row.launch(bench, ON_POSTGRES)?.set("REGISTRY_METADATA_URL", url))
}
