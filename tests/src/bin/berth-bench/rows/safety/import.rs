//! Taking over a tree of `registry:2`, and making the database anew from it.

use std::path::Path;

use anyhow::Result;

use super::tree::Tree;
use crate::Bench;
use crate::peers::BERTH;
use crate::results::RowRun;
use crate::rows::{Row, command};

pub(crate) const IMPORT: &str = "berth import";
pub(crate) const REINDEX: &str = "berth reindex";
/// Under which a tenth of the tree stands: memory should be the same.
pub(crate) const TENTH: &str = "berth, a tenth of it";

pub(crate) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let all = Tree { manifests: bench.settings.imported_manifests };
    let tenth = Tree { manifests: all.manifests / 10 };
    run.setting(format!(
        "a tree of {} manifests and {} link files, and one of a tenth; each command from nothing, filesystem, SQLite",
        all.manifests,
        all.links(),
    ));
    for (name, tree) in [(TENTH, tenth), (BERTH, all)] {
        let root = tree.prepare(&bench.cache)?;
        for round in 0..bench.settings.import_rounds {
            for (case, arguments) in [
                (IMPORT, &["import", "--quiet", "--config"][..]),
                (REINDEX, &["reindex", "--quiet"]),
            ] {
                measure(bench, run, (case, name, round), &root, arguments)?;
            }
        }
    }
    Ok(())
}

fn measure(
    bench: &Bench,
    run: &mut RowRun,
    (case, name, round): (&str, &str, usize),
    root: &Path,
    arguments: &[&str],
) -> Result<()> {
    let folder = bench.folder(Row::Import, name)?;
    let database = folder.join("berth.db");
    let launch = crate::peers::Launch::in_folder(folder)
        .on(root)
        .set("REGISTRY_METADATA_SQLITE_PATH", &database.display().to_string());
    let values = command::measure(bench.berth()?.tool(&launch, arguments)?)?;
    run.record(case, name, round, &values);
    Ok(())
}
