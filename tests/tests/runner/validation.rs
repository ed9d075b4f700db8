//! The specification's own programs (opencontainers/runtime-tools), of which each makes a container and looks
//! whether it is what the configuration says: what runc passes, this runtime passes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use berth_tests::berth_binary;
use berth_tests::home::cache;
use tempfile::TempDir;

/// Programs that use the same cgroup, so that one runs after the other.
const IN_ONE_CGROUP: [&str; 3] =
    ["linux_cgroups_", "delete_resources", "delete_only_create_resources"];
/// Why programs fail with any runtime: they are told beside what failed.
const EXPLAINED: [(&str, &str); 17] = [
    ("delete_resources", "it compares the addresses of two limits"),
    (
        "hooks_stdin",
        "prestart hooks are told that the container is being created, as the specification has it",
    ),
    ("linux_cgroups_blkio", "it wants a disk 8:0"),
    ("linux_cgroups_hugetlb", "it wants that controller of version 1"),
    ("linux_cgroups_memory", "kernels have no limits for their own memory any more"),
    ("linux_cgroups_network", "it wants the controllers net_cls and net_prio"),
    ("linux_cgroups_pids", "it compares the addresses of two limits"),
    ("linux_cgroups_relative_blkio", "it wants a disk 8:0"),
    ("linux_cgroups_relative_hugetlb", "it wants that controller of version 1"),
    ("linux_cgroups_relative_memory", "kernels have no limits for their own memory any more"),
    ("linux_cgroups_relative_network", "it wants the controllers net_cls and net_prio"),
    ("linux_cgroups_relative_pids", "it compares the addresses of two limits"),
    ("linux_mount_label", "it wants SELinux"),
    ("linux_process_apparmor_profile", "it wants AppArmor"),
    ("misc_props", "it forgets to put its program into the container"),
    ("pidfile", "it kills a program that has ended"),
    ("process_rlimits", "the library that it is built with sets a limit of files for itself"),
];
/// The program that kills another one which may have ended by then: it passes now and then, the more often the slower
/// the runtime is.
const RACING: &str = "pidfile";
const TRIES: u32 = 20;
/// How many of the others run at a time: they do little but wait.
const LANES: usize = 6;

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_runc_passes_is_passed() -> Result<()> {
    let tools = cache()?.join("bin/runtime-tools");
    let all = programs(&tools)
        .with_context(|| format!("{}: run `cargo xtask setup`", tools.display()))?;
    let (cgroups, others): (Vec<String>, Vec<String>) = all
        .into_iter()
        .partition(|name| IN_ONE_CGROUP.iter().any(|prefix| name.starts_with(prefix)));
    assert!(cgroups.len() + others.len() > 50, "programs are missing in {}", tools.display());
    let trial = Trial::new(tools)?;
    let waiting = Mutex::new(others);
    let next = || waiting.lock().ok()?.pop();
    let worse = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| cgroups.iter().for_each(|name| trial.compare(name, &worse)));
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(name) = next() {
                    trial.compare(&name, &worse);
                }
            });
        }
    });
    let worse = worse.into_inner().unwrap_or_default();
    assert!(worse.is_empty(), "runc passes what berth fails:\n{}", worse.join("\n"));
    Ok(())
}

fn programs(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("rootfs-") && name != "runtimetest" {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What is said of a program that did not get through.
const ENDED: &str = "it ended with an error";

struct Trial {
    tools: PathBuf,
    /// Programs that are `berth oci` and runc with states of their own.
    ours: PathBuf,
    theirs: PathBuf,
    folder: TempDir,
}

impl Trial {
    fn new(tools: PathBuf) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let script = |name: &str, command: &str| -> Result<PathBuf> {
            let path = folder.path().join(name);
            let state = folder.path().join(format!("{name}-state"));
            let text = format!("#!/bin/sh\nexec {command} --root {} \"$@\"\n", state.display());
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o755))?;
            Ok(path)
        };
        let ours = script("berth-oci", &format!("{} oci", berth_binary()?.display()))?;
        let theirs = script("runc", "runc")?;
        Ok(Self { tools, ours, theirs, folder })
    }

    /// Runs a program with this runtime, and with runc where that fails: what is worse is told.
    fn compare(&self, name: &str, worse: &Mutex<Vec<String>>) {
        let run = || self.run(name, &self.ours).unwrap_or_else(|error| vec![format!("{error:#}")]);
        let mut ours = run();
        for _ in 1..if name == RACING { TRIES } else { 1 } {
            if !ours.is_empty() {
                ours = run();
            }
        }
        if ours.is_empty() {
            return;
        }
        let theirs = self.run(name, &self.theirs).unwrap_or_default();
        let why = EXPLAINED.iter().find(|(known, _)| *known == name).map_or("", |(_, why)| why);
        println!("{name}: {ours:?}; runc: {theirs:?}; {why}");
        let only_ours: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
        // What could not even begin with runc is no measure.
        if !only_ours.is_empty()
            && !theirs.contains(&ENDED.to_owned())
            && let Ok(mut worse) = worse.lock()
        {
            worse.push(format!("{name}: {only_ours:#?}"));
        }
    }

    /// What a program finds to be wrong.
    fn run(&self, name: &str, runtime: &Path) -> Result<Vec<String>> {
        let output = Command::new(self.tools.join(name))
            .current_dir(&self.tools)
            .env("RUNTIME", runtime)
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {name}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let mut wrong: Vec<String> = said
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("not ok") && !line.contains("# TODO"))
            .map(without_number)
            .collect();
        if !output.status.success() {
            wrong.push(ENDED.to_owned());
        }
        Ok(wrong)
    }
}

impl Drop for Trial {
    /// Programs that fail leave containers behind.
    fn drop(&mut self) {
        for runtime in [&self.ours, &self.theirs] {
            let left = Command::new(runtime).args(["list", "--quiet"]).output();
            let left = left.map(|output| output.stdout).unwrap_or_default();
            for id in String::from_utf8_lossy(&left).lines() {
                let _ = Command::new(runtime).args(["delete", "--force", id]).output();
            }
        }
    }
}

/// `not ok 7 - what` without the number, which depends on what was found before.
fn without_number(line: &str) -> String {
    let words = line.trim_start_matches("not ok").trim_start();
    words.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim().to_owned()
}
