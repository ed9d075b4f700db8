//! How much of the processors a container gets (N15), by what the kernel counts: how busy the machine is besides does
//! not matter.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use berth_tests::wait::until;

use crate::host::Host;

/// A program that wants all of a processor.
const BUSY: &str = "while :; do :; done";
/// Enough of it to compare, and in how much time at most.
const MEASURED: Duration = Duration::from_millis(600);

/// The time that all processes of a container have had.
fn used(id: &str) -> Result<Duration> {
    let find = |folders: &[&str], file: &str| -> Option<(String, PathBuf)> {
        let path = |folder: &&str| {
            Path::new("/sys/fs/cgroup").join(folder).join("berth").join(id).join(file)
        };
        folders.iter().map(path).find_map(|path| Some((fs::read_to_string(&path).ok()?, path)))
    };
    if let Some((text, _)) = find(&["cpuacct", "cpu,cpuacct"], "cpuacct.usage") {
        return Ok(Duration::from_nanos(text.trim().parse()?));
    }
    let (text, path) = find(&["", "unified"], "cpu.stat").context("no cgroup counts the time")?;
    let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
    let used = line.with_context(|| format!("{}: {text}", path.display()))?;
    Ok(Duration::from_micros(used.parse()?))
}

/// How much time of a processor a container gets, and in which time.
fn time_of(id: &str) -> Result<(Duration, Duration)> {
    let (start, before) = (Instant::now(), used(id)?);
    until("it has had some time", || {
        Ok(used(id)? - before >= MEASURED || start.elapsed() > 4 * MEASURED)
    })?;
    Ok((used(id)? - before, start.elapsed()))
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn who_has_more_shares_of_a_processor_gets_more_of_it() -> Result<()> {
    let host = Host::new()?;
    let one = ["--cpuset-cpus", "0"];
    let many = host.start(&[&one[..], &["--cpu-shares", "8192"]].concat(), BUSY)?;
    let few = host.start(&one, BUSY)?;
    let before = (used(&many)?, used(&few)?);
    until("both have had some time", || {
        Ok(used(&many)? + used(&few)? >= before.0 + before.1 + MEASURED)
    })?;
    let (many, few) = (used(&many)? - before.0, used(&few)? - before.1);
    // Eight times as much, where the kernel's measure is fine enough.
    assert!(many > 4 * few, "{many:?} and {few:?}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_part_of_a_processor_is_no_more_than_that() -> Result<()> {
    let host = Host::new()?;
    for (options, quota, period) in [
        (&["--cpus=0.25"][..], 25, 100),
        (&["--cpu-quota", "50000"], 50, 100),
        (&["--cpu-period", "50000", "--cpu-quota", "5000"], 5, 50),
    ] {
        let id = host.start(options, BUSY)?;
        let (had, within) = time_of(&id)?;
        // As much in each period: of the first and the last one, too, of which there may be little in this time.
        let periods = within.as_secs_f64() / f64::from(period) * 1000.0 + 2.0;
        let most = Duration::from_millis(quota).mul_f64(periods);
        assert!(had < most, "{options:?}: {had:?} within {within:?}");
        host.ok(&["rm", "-f", &id])?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn processors_are_those_that_were_named() -> Result<()> {
    let host = Host::new()?;
    let last = std::thread::available_parallelism()?.get() - 1;
    for wanted in ["0".to_owned(), last.to_string()] {
        let shown =
            host.shell(&["--cpuset-cpus", &wanted], "grep Cpus_allowed_list /proc/self/status")?;
        assert_eq!(shown.said, format!("Cpus_allowed_list:\t{wanted}\n"));
    }
    host.is_clean()
}
