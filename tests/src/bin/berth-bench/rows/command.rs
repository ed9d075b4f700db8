//! What a command takes that ends by itself.

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::procfs::Group;
use crate::results::Metric;

/// How often its memory is looked at: the kernel keeps the peak.
const LOOK: Duration = Duration::from_millis(20);

/// Seconds, and the most that was resident.
pub(super) fn measure(mut command: Command) -> Result<Vec<(Metric, f64)>> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn().context("cannot start berth")?;
    let peak = wait(&mut child)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(vec![(Metric::Seconds, seconds), (Metric::PeakMebibytes, peak)])
}

fn wait(child: &mut Child) -> Result<f64> {
    let group = Group::new(child.id());
    let mut peak: f64 = 0.0;
    loop {
        if let Ok(memory) = group.memory() {
            peak = peak.max(memory.peak);
        }
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "the command failed: {status}");
            return Ok(peak);
        }
        sleep(LOOK);
    }
}
