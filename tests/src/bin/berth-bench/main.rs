//! The benchmark of Berth, which `cargo xtask bench` starts: the same work against Berth and against every peer that
//! is here, in turn, and a page with what came of it.
//!
//! It is a benchmark and no test: no number makes it fail. It fails when the work itself could not be done.

mod arguments;
mod client;
mod content;
mod garbage;
mod load;
mod machine;
mod million;
mod peers;
mod procfs;
mod report;
mod results;
mod rows;
mod settings;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use crate::arguments::Arguments;
use crate::machine::Machine;
use crate::peers::{BERTH, Peer};
use crate::results::{Results, RowRun};
use crate::rows::Row;
use crate::settings::{GIB, Settings};

/// What every row needs to know.
pub(crate) struct Bench {
    pub(crate) settings: Settings,
    /// Whoever was found, Berth first.
    pub(crate) peers: Vec<Peer>,
    /// For what lives as long as a row, on the disk that is measured.
    pub(crate) work: PathBuf,
    /// For what is worth keeping between runs.
    pub(crate) cache: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let out = std::path::absolute(&arguments.out)?;
    fs::create_dir_all(&out)?;
    let mut results = Results::load(&out)?;
    if !arguments.render {
        measure(&arguments, &mut results, &out)?;
    }
    report::write(&results, &out)?;
    println!("\n{}", report::summary(&results));
    println!("Written to {}", out.display());
    Ok(())
}

fn measure(arguments: &Arguments, results: &mut Results, out: &Path) -> Result<()> {
    let work = Work::begin(&arguments.work)?;
    let peers = peers::find(arguments, &install(&arguments.berth, &work.folder)?)?;
    fs::create_dir_all(&arguments.cache)?;
    let settings = if arguments.quick { Settings::quick() } else { Settings::full() };
    let free = machine::free_space(&work.folder)?;
    ensure!(
        free >= settings.disk,
        "{} GiB of disk are needed and {} GiB are free",
        settings.disk / GIB,
        free / GIB
    );
    let bench = Bench {
        settings,
        peers,
        work: work.folder.clone(),
        cache: std::path::absolute(&arguments.cache)?,
    };
    results.machine = Machine::look(&work.folder);
    results.quick = arguments.quick;
    for peer in &bench.peers {
        println!("{:<24} {}", peer.name, peer.version);
        results.peers.insert(peer.name.clone(), peer.version.clone());
    }
    for row in arguments.rows() {
        println!("\n=== {}", row.title());
        let start = Instant::now();
        let mut run = RowRun::begin();
        row.run(&bench, &mut run).with_context(|| format!("the row {}", row.name()))?;
        run.seconds = start.elapsed().as_secs_f64();
        println!("=== {} took {:.0} s", row.name(), run.seconds);
        results.rows.insert(row.name().to_owned(), run);
        // What is measured is kept, whatever becomes of the rows behind it; what was pushed is not.
        results.save(out)?;
        remove(&bench.work.join(row.name()))?;
    }
    Ok(())
}

/// Copies the program, as whoever installs it does: of a file that a linker has written piece by piece the kernel has
/// smaller pieces in memory, and maps fewer at once. The peers' programs have been copied by their packages.
fn install(program: &Path, folder: &Path) -> Result<PathBuf> {
    let installed = folder.join("berth");
    fs::copy(program, &installed).with_context(|| format!("copy {}", program.display()))?;
    Ok(installed)
}

/// Where this run keeps what it needs. The folder goes with it.
struct Work {
    folder: PathBuf,
    _lock: File,
}

impl Work {
    /// Takes hold of the folder and throws out what a run that was killed may have left.
    fn begin(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().with_context(|| format!("another run uses {}", folder.display()))?;
        let folder = folder.join("run");
        remove(&folder)?;
        fs::create_dir(&folder)?;
        Ok(Self { folder, _lock: lock })
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Bench {
    /// Berth among the peers.
    pub(crate) fn berth(&self) -> Result<&Peer> {
        self.peers.iter().find(|peer| peer.name == BERTH).context("no berth")
    }

    /// An empty folder for one server of one row.
    pub(crate) fn folder(&self, row: Row, name: &str) -> Result<PathBuf> {
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let folder = self.work.join(row.name()).join(name);
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
