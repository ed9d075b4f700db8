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
const IN_ONE_CGROUP: &str = "linux_cgroups_";
/// How many of the others run at a time: they do little but wait.
const LANES: usize = 6;

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_runc_passes_is_passed() -> Result<()> {
    let tools = cache()?.join("bin/runtime-tools");
    let all = programs(&tools)
        .with_context(|| format!("{}: run `cargo xtask setup`", tools.display()))?;
    let (cgroups, others): (Vec<String>, Vec<String>) =
        all.into_iter().partition(|name| name.starts_with(IN_ONE_CGROUP));
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

struct Trial {
    tools: PathBuf,
    /// A program that is `berth oci`, since the tests start one without arguments of its own.
    runtime: PathBuf,
    folder: TempDir,
}

impl Trial {
    fn new(tools: PathBuf) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let runtime = folder.path().join("berth-oci");
        let state = folder.path().join("state");
        let script = format!(
            "#!/bin/sh\nexec {} oci --root {} \"$@\"\n",
            berth_binary()?.display(),
            state.display()
        );
        fs::write(&runtime, script)?;
        fs::set_permissions(&runtime, Permissions::from_mode(0o755))?;
        Ok(Self { tools, runtime, folder })
    }

    /// Runs a program with this runtime, and with runc where that fails: what is worse is told.
    fn compare(&self, name: &str, worse: &Mutex<Vec<String>>) {
        let ours = self.run(name, &self.runtime).unwrap_or_else(|error| vec![format!("{error:#}")]);
        if ours.is_empty() {
            return;
        }
        let theirs = self.run(name, Path::new("runc")).unwrap_or_default();
        let only_ours: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
        println!("{name}: {} lines fail here, {} with runc: {ours:#?}", ours.len(), theirs.len());
        if !only_ours.is_empty()
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
            wrong.push("it ended with an error".to_owned());
        }
        Ok(wrong)
    }
}

/// `not ok 7 - what` without the number, which depends on what was found before.
fn without_number(line: &str) -> String {
    let words = line.trim_start_matches("not ok").trim_start();
    words.trim_start_matches(|letter: char| letter.is_ascii_digit()).trim().to_owned()
}
