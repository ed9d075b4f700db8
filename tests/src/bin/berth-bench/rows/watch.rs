//! What a server holds in memory while something is done to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::peers::Server;
use crate::procfs::{Group, Memory};

/// How often memory is looked at for the plot.
const LOOK: Duration = Duration::from_millis(250);

pub(super) struct Watched<T> {
    pub(super) result: T,
    /// The most that was resident.
    pub(super) peak: f64,
    /// Seconds since the start, and what was held then.
    points: Vec<(f64, Memory)>,
}

impl<T> Watched<T> {
    /// The most that was seen of memory that no file backs.
    pub(super) fn anonymous(&self) -> f64 {
        self.points.iter().map(|(_, memory)| memory.anonymous).fold(0.0, f64::max)
    }

    pub(super) fn resident(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|(time, memory)| (*time, memory.resident)).collect()
    }
}

/// Looks at the memory of a server as long as `work` takes.
pub(super) fn watch<T>(group: Group, work: impl FnOnce() -> Result<T>) -> Result<Watched<T>> {
    group.reset_peak()?;
    let ended = AtomicBool::new(false);
    let start = Instant::now();
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut points = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                if let Ok(memory) = group.memory() {
                    points.push((start.elapsed().as_secs_f64(), memory));
                }
                thread::sleep(LOOK);
            }
            points
        });
        let result = work();
        let peak = group.memory().map(|memory| memory.peak);
        ended.store(true, Ordering::Relaxed);
        let points = watcher.join().map_err(|_| anyhow!("the watcher panicked"))?;
        Ok(Watched { result: result?, peak: peak?, points })
    })
}

pub(super) fn group(server: &Server) -> Result<Group> {
    server.group.with_context(|| format!("the processes of {} cannot be seen", server.name))
}
