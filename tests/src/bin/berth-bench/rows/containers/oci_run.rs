//! A container of a runtime alone, from a bundle that is there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::machine::apart;
use super::{CRUN, RUNC, Row, is_there, milliseconds, says};
use crate::Bench;
use crate::peers::BERTH;
use crate::results::{Metric, RowRun};
use crate::rows::in_turn;

pub(crate) const CASE: &str = "run true";

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    apart(|| measure(bench, run))
}

fn measure(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let rounds = bench.settings.container_rounds;
    run.setting(format!(
        "busybox `true` in a bundle as `berth oci spec` writes it, from the start of the command to its end, {rounds} rounds"
    ));
    let berth = bench.berth()?.program()?;
    let folder = bench.folder(Row::OciRun, "bundle")?;
    let bundle = bundle(berth, &folder)?;
    let mut runtimes: Vec<(&str, PathBuf)> = vec![(BERTH, berth.to_owned())];
    for name in [CRUN, RUNC] {
        if is_there(name) {
            let mut version = Command::new(name);
            version.arg("--version");
            let version = says(version)?;
            run.setting(version.lines().next().unwrap_or_default());
            runtimes.push((name, name.into()));
        } else {
            run.note(format!("{name} is not installed"));
        }
    }
    for round in 0..rounds {
        for (name, program) in in_turn(&runtimes, round) {
            let mut command = Command::new(program);
            if *name == BERTH {
                command.arg("oci");
            }
            command.arg("--root").arg(folder.join(format!("state-{name}")));
            command.args(["run", "--bundle"]).arg(&bundle).arg(format!("bench-{name}"));
            run.record(CASE, name, round, &[(Metric::Milliseconds, milliseconds(command)?)]);
        }
    }
    Ok(())
}

fn bundle(berth: &Path, folder: &Path) -> Result<PathBuf> {
    let bundle = folder.join("bundle");
    let bin = bundle.join("rootfs/bin");
    fs::create_dir_all(&bin)?;
    fs::copy("/bin/busybox", bin.join("busybox")).context("busybox-static is not installed")?;
    for name in ["sh", "true"] {
        symlink("busybox", bin.join(name))?;
    }
    let mut spec = Command::new(berth);
    spec.args(["oci", "spec", "--bundle"]).arg(&bundle);
    says(spec)?;
    let path = bundle.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["args"] = serde_json::json!(["true"]);
    config["process"]["terminal"] = false.into();
    // An older crun refuses what it does not know, although nothing of it is used.
    config["ociVersion"] = "1.0.2".into();
    fs::write(path, config.to_string())?;
    Ok(bundle)
}
