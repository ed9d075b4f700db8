//! An engine with roots of its own, and its commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use berth_tests::berth_binary;
use berth_tests::disk::Disk;
use berth_tests::fixtures::{self, Layout};
use berth_tests::wait::until;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde_json::Value;
use tempfile::TempDir;

/// The name of the image that all tests use: busybox, with two users.
pub(crate) const IMAGE: &str = "tools";

/// Cgroups of version 2 beside those of version 1.
const UNIFIED: &str = "/sys/fs/cgroup/unified";

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
        Self::in_folder(tempfile::tempdir()?)
    }

    /// The same with all that it keeps on this disk.
    pub(crate) fn on(disk: &Disk) -> Result<Self> {
        Self::in_folder(tempfile::tempdir_in(disk.path(""))?)
    }

    fn in_folder(folder: TempDir) -> Result<Self> {
        let host = Self { folder };
        host.set("{}\n")?;
        host.load(&fixtures::tools()?, IMAGE)?;
        Ok(host)
    }

    /// Takes in another image.
    pub(crate) fn load(&self, layout: &Layout, name: &str) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let archive = folder.path().join("image.tar");
        let packed = Command::new("tar")
            .arg("-cf")
            .arg(&archive)
            .arg("-C")
            .arg(&layout.path)
            .arg(".")
            .status()?;
        ensure!(packed.success(), "tar ended with {packed}");
        let loaded = self.ok(&["load", "-q", "-i", archive.to_str().context("a path")?])?;
        let id = loaded.trim().rsplit(' ').next().context("no image")?.to_owned();
        self.ok(&["tag", &id, name]).map(drop)
    }

    /// The same in a network of its own, which this thread has from then on, and the programs that it starts.
    pub(crate) fn isolated() -> Result<Self> {
        leave(UnshareFlags::NEWNET)?;
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
        ensure!(up.success(), "ip ended with {up}");
        Self::new()
    }

    /// The same with mounts of its own, without the cgroups of version 2 that lie beside those of version 1: crun does
    /// not run there.
    pub(crate) fn without_hybrid_cgroups() -> Result<Self> {
        leave(UnshareFlags::NEWNS)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        if Path::new(UNIFIED).exists() {
            unmount(UNIFIED, UnmountFlags::DETACH)?;
        }
        Self::new()
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

    /// Gives the engine these settings.
    pub(crate) fn set(&self, settings: &str) -> Result<()> {
        Ok(fs::write(self.settings(), settings)?)
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

    /// What containers have left on the machine: folders, names, mounts, and what is recorded of their networks and
    /// layers.
    pub(crate) fn leftovers(&self) -> Result<Vec<String>> {
        let (data, run) = (self.data(), self.run_folder());
        let mut left = Vec::new();
        let mut folders = vec![
            data.join("containers"),
            data.join("containers/names"),
            run.join("containers"),
            run.join("oci"),
            run.join("network/endpoints"),
            run.join("network/addresses"),
        ];
        for other in fs::read_dir(run.join("runtimes")).into_iter().flatten() {
            folders.push(other?.path());
        }
        for folder in folders {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry?.path();
                // Whose name or address it is.
                let holder = fs::read_link(&path).unwrap_or_default();
                left.push(format!("{} {}", path.display(), holder.display()).trim_end().to_owned());
            }
        }
        left.retain(|path| {
            !path.ends_with("containers/names") && !path.contains("network/addresses/last")
        });
        for entry in fs::read_dir(run.join("layers/roots")).into_iter().flatten() {
            left.push(format!(
                "layers of {}",
                fs::read_to_string(entry?.path()).unwrap_or_default()
            ));
        }
        for entry in fs::read_dir(data.join("volumes")).into_iter().flatten() {
            let path = entry?.path();
            if path.to_string_lossy().contains("volumes/.new-")
                || path.to_string_lossy().contains("volumes/.gone-")
            {
                left.push(path.display().to_string());
            }
        }
        let containers = run.join("containers").display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        left.extend(mounts.lines().filter(|line| line.contains(&containers)).map(str::to_owned));
        Ok(left)
    }

    /// Takes away what is mounted below its folder: the layers, and the roots of what runs.
    pub(crate) fn unmount_all(&self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let own = self.folder.path().display().to_string();
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&own) {
                let _ = unmount(mount, UnmountFlags::DETACH);
            }
        }
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
        // They would keep the folder.
        self.unmount_all();
    }
}

/// The monitors of a host's containers, and what was cloned to become one; not the command that `besides` is.
pub(crate) fn monitors(host: &Host, besides: Pid) -> Result<Vec<Pid>> {
    let own = host.data().display().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw).filter(|pid| *pid != besides) else {
            continue;
        };
        // Any of them may have ended by now.
        let read = |name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
        let (name, words) = (read("comm"), read("cmdline"));
        let is_runtime = words.split('\0').nth(1) == Some("oci");
        if name.starts_with("berth") && !is_runtime && read("environ").contains(&own) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Gives this thread a namespace of its own, which the programs that it starts have, too.
#[allow(unsafe_code)]
fn leave(namespace: UnshareFlags) -> Result<()> {
    // SAFETY: a network or mount namespace, with the working directory that comes with the second, belongs to the
    // thread alone, and neither descriptors nor memory are affected.
    Ok(unsafe { unshare_unsafe(namespace) }?)
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

/// Whether a process does anything any more.
pub(crate) fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let state = stat.ok().and_then(|stat| stat.rsplit_once(") ")?.1.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
