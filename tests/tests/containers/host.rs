//! An engine with roots of its own, and its commands.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use berth_tests::berth_binary;
use berth_tests::fixtures;
use berth_tests::wait::until;
use serde_json::Value;
use tempfile::TempDir;

/// The name of the image that all tests use: busybox, with two users.
pub(crate) const IMAGE: &str = "tools";

/// The engine. What runs in it is removed with it.
pub(crate) struct Host {
    folder: TempDir,
}

/// What a command has said, and what it exited with.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) said: String,
    pub(crate) complained: String,
}

impl Host {
    /// One that has the image.
    pub(crate) fn new() -> Result<Self> {
        let host = Self { folder: tempfile::tempdir()? };
        fs::write(host.settings(), "{}\n")?;
        let archive = host.folder.path().join("image.tar");
        let layout = fixtures::tools()?;
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(&layout.path)
            .arg(".")
            .status()?;
        ensure!(packed.success(), "tar ended with {packed}");
        let loaded = host.ok(&["load", "-q", "-i", archive.to_str().context("a path")?])?;
        let id = loaded.trim().rsplit(' ').next().context("no image")?.to_owned();
        host.ok(&["tag", &id, IMAGE])?;
        fs::remove_file(archive)?;
        Ok(host)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn run_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Settings that say nothing, in place of those of the machine.
    fn settings(&self) -> PathBuf {
        self.folder.path().join("engine.yml")
    }

    /// `berth` with these roots.
    pub(crate) fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(berth_binary()?);
        command.args(args).stdin(Stdio::null());
        command.env("BERTH_DATA_ROOT", self.data()).env("BERTH_EXEC_ROOT", self.run_folder());
        command.env("BERTH_ENGINE_CONFIG", self.settings());
        Ok(command)
    }

    pub(crate) fn berth(&self, args: &[&str]) -> Result<Ran> {
        Ran::new(self.command(args)?.output()?)
    }

    /// What a command says that must work.
    pub(crate) fn ok(&self, args: &[&str]) -> Result<String> {
        let ran = self.berth(args)?;
        ensure!(
            ran.code == 0,
            "berth {} exited with {}: {}",
            args.join(" "),
            ran.code,
            ran.complained
        );
        Ok(ran.said)
    }

    /// Runs a command of the shell in a container that goes with its end, without a network.
    pub(crate) fn shell(&self, options: &[&str], command: &str) -> Result<Ran> {
        let mut args = vec!["run", "--rm", "--network", "none"];
        args.extend(options);
        args.extend([IMAGE, "sh", "-c", command]);
        self.berth(&args)
    }

    /// Starts a container in the background that does `command`, and gives its id.
    pub(crate) fn start(&self, options: &[&str], command: &str) -> Result<String> {
        let mut args = vec!["run", "-d", "--network", "none"];
        args.extend(options);
        args.extend([IMAGE, "sh", "-c", command]);
        Ok(self.ok(&args)?.trim().to_owned())
    }

    /// One that waits to be told to end.
    pub(crate) fn idle(&self, options: &[&str]) -> Result<String> {
        // The first process of a namespace is killed only by signals that it handles.
        self.start(options, "trap 'exit 143' TERM; echo ready; while :; do sleep 1000 & wait; done")
    }

    pub(crate) fn inspect(&self, name: &str) -> Result<Value> {
        let shown: Value =
            serde_json::from_str(&self.ok(&["inspect", "--type", "container", name])?)?;
        Ok(shown[0].clone())
    }

    pub(crate) fn status(&self, name: &str) -> Result<String> {
        Ok(self.inspect(name)?["State"]["Status"].as_str().unwrap_or_default().to_owned())
    }

    /// What containers have left on the machine: folders, mounts, cgroups.
    pub(crate) fn leftovers(&self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        for folder in [
            self.data().join("containers"),
            self.run_folder().join("containers"),
            self.run_folder().join("oci"),
        ] {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name != "names" {
                    left.push(folder.join(name).display().to_string());
                }
            }
        }
        for entry in fs::read_dir(self.data().join("containers/names")).into_iter().flatten() {
            left.push(format!("the name {}", entry?.file_name().to_string_lossy()));
        }
        let containers = self.run_folder().join("containers").display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        left.extend(mounts.lines().filter(|line| line.contains(&containers)).map(str::to_owned));
        Ok(left)
    }

    /// Waits until nothing of any container is left.
    pub(crate) fn is_clean(&self) -> Result<()> {
        let clean = until("nothing is left", || Ok(self.leftovers()?.is_empty()));
        clean.with_context(|| format!("{:#?}", self.leftovers()))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Ok(ids) = self.ok(&["ps", "-aq"]) {
            let ids: Vec<&str> = ids.lines().collect();
            let mut args = vec!["rm", "-f", "-v"];
            args.extend(&ids);
            if !ids.is_empty() {
                let _ = self.berth(&args);
            }
        }
        // Layers are mounts of their own, which would keep the folder.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.folder.path().display().to_string();
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&own) {
                let _ = rustix::mount::unmount(mount, rustix::mount::UnmountFlags::DETACH);
            }
        }
    }
}

impl Ran {
    pub(crate) fn new(output: Output) -> Result<Self> {
        use std::os::unix::process::ExitStatusExt as _;
        let code = output.status.code().or(output.status.signal().map(|signal| -signal));
        Ok(Self {
            code: code.context("no end")?,
            said: String::from_utf8(output.stdout)?,
            complained: String::from_utf8(output.stderr)?,
        })
    }
}
