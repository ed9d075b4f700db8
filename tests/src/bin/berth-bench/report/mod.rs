//! The page, the table for other programs, and the plots.

mod bars;
mod checks;
mod collection;
mod containers;
mod databases;
mod identity;
mod lines;
mod page;
mod safety;
mod stores;
mod svg;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::results::Results;
use crate::rows::Row;

/// Writes everything that is made from the results.
pub(crate) fn write(results: &Results, folder: &Path) -> Result<()> {
    fs::write(folder.join("README.md"), page::page(results))?;
    fs::write(folder.join("results.csv"), table(results))?;
    for row in Row::ALL {
        let Some(run) = results.rows.get(row.name()) else { continue };
        for plot in bars::plots(row, run) {
            fs::write(folder.join(plot.file), plot.svg)?;
        }
        if !run.series.is_empty() {
            fs::write(folder.join(lines::file(row)), lines::plot(row, run))?;
        }
    }
    Ok(())
}

/// The bars and whether they are met, for a terminal.
pub(crate) fn summary(results: &Results) -> String {
    let mut text = String::new();
    for row in Row::ALL {
        let Some(run) = results.rows.get(row.name()) else { continue };
        for check in checks::of(row, run) {
            let checks::Check { what, measured, bar, verdict } = check;
            let _ = writeln!(text, "{:<12} {what}: {measured} (bar: {bar})", verdict.word());
        }
    }
    text
}

/// Every sample.
fn table(results: &Results) -> String {
    let mut text = String::from("row,case,peer,metric,round,value\n");
    for (row, run) in &results.rows {
        for sample in &run.samples {
            let metric = sample.metric.title();
            let _ = writeln!(
                text,
                "{row},\"{}\",\"{}\",\"{metric}\",{},{}",
                sample.case, sample.peer, sample.round, sample.value
            );
        }
    }
    text
}
