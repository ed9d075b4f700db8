//! Backing up a database that is in use.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::Bench;
use crate::million::Shape;
use crate::peers::BERTH;
use crate::results::RowRun;
use crate::rows::{Row, command, manifests};

pub(crate) const CASE: &str = "berth backup now";
pub(crate) const GET: &str = "manifest GET";
pub(crate) const WITHOUT: &str = "berth, no backup";

/// Before the backup begins.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    let tags = settings.tags[1];
    let shape = Shape { tags, each: settings.tags_each };
    let prepared = shape.prepare(&bench.cache)?;
    run.setting(format!(
        "{tags} tags, each with a manifest of its own, in SQLite, in files; {GET} of one tag while backups are made one \
         after the other, and without, {} rounds",
        settings.rounds,
    ));
    let launch = Row::Backup.launch(bench, BERTH)?.set("REGISTRY_STORAGE_BACKUP_KEEP", "1");
    launch.copy_database(&prepared)?;
    let server = bench.berth()?.start(&launch)?;
    let path = format!("/v2/{}/manifests/t0000000", shape.repository(0));
    manifests::measure(bench, &server, &path, WARM_UP)?;
    for round in 0..settings.rounds {
        let time = settings.manifest_time;
        run.record(GET, WITHOUT, round, &manifests::measure(bench, &server, &path, time)?);
        let (beside, took) = thread::scope(|scope| -> Result<_> {
            let backup = scope.spawn(|| {
                let mut command = bench.berth()?.tool(&launch, &["backup", "now", "--config"])?;
                command.stderr(std::process::Stdio::null());
                command::measure(command)
            });
            let beside = manifests::measure(bench, &server, &path, time)?;
            let took = backup.join().map_err(|_| anyhow!("the backup panicked"))??;
            Ok((beside, took))
        })?;
        run.record(GET, BERTH, round, &beside);
        run.record(CASE, BERTH, round, &took);
    }
    server.stop()
}
