//! A bundle whose root has busybox, and the commands on it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use berth_tests::berth_binary;
use berth_tests::wait::until;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Debian's package busybox-static.
const BUSYBOX: &str = "/bin/busybox";
/// The folders of a root that things are mounted on.
const FOLDERS: [&str; 7] = ["bin", "dev", "etc", "proc", "root", "sys", "tmp"];

/// A folder with a configuration, a root, and the state of its container. What is left of the container goes with it.
pub(crate) struct Bundle {
    folder: TempDir,
    pub(crate) id: String,
    pub(crate) config: Value,
}

impl Bundle {
    /// A container that runs a command of the shell, with what the specification gives to every container.
    pub(crate) fn shell(command: &str) -> Result<Self> {
        Self::new(&["sh", "-c", command])
    }

    /// A container that waits to be killed.
    pub(crate) fn idle() -> Result<Self> {
        // The first process of a namespace is killed only by signals that it handles.
        Self::shell("trap 'exit 143' TERM; while :; do sleep 1000 & wait; done")
    }

    pub(crate) fn new(args: &[&str]) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "containers take root: run the tests as root"
        );
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir()?;
        let id = format!("berth-test-{}-{count}", std::process::id());
        let bundle = Self { config: config(args), folder, id };
        let root = bundle.root();
        for folder in FOLDERS {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        fs::copy(BUSYBOX, root.join("bin/busybox")).context("busybox-static is not installed")?;
        let list = Command::new(BUSYBOX).arg("--list").output()?;
        for name in String::from_utf8(list.stdout)?.lines().filter(|name| *name != "busybox") {
            symlink("busybox", root.join("bin").join(name))?;
        }
        Ok(bundle)
    }

    /// The same with a changed configuration.
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.config;
        for key in pointer.split('/').skip(1) {
            place = &mut place[key];
        }
        *place = value;
        self
    }

    pub(crate) fn with_mount(mut self, mount: Value) -> Self {
        if let Value::Array(mounts) = &mut self.config["mounts"] {
            mounts.push(mount);
        }
        self
    }

    /// Takes the namespace of that kind out, or puts one at `path` in its place.
    pub(crate) fn with_namespace(mut self, kind: &str, path: Option<&str>) -> Self {
        if let Value::Array(namespaces) = &mut self.config["linux"]["namespaces"] {
            namespaces.retain(|namespace| namespace["type"] != kind);
            namespaces.extend(path.map(|path| json!({"type": kind, "path": path})));
        }
        self
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `berth oci` with this bundle's state.
    pub(crate) fn oci(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(berth_binary()?);
        command.arg("oci").arg("--root").arg(self.folder.path().join("state")).args(args);
        command.stdin(Stdio::null());
        Ok(command)
    }

    fn write(&self) -> Result<()> {
        fs::write(self.folder.path().join("config.json"), self.config.to_string())?;
        Ok(())
    }

    /// `create` and `run`, ready to be changed.
    pub(crate) fn making(&self, command: &str, options: &[&str]) -> Result<Command> {
        self.write()?;
        let mut made = self.oci(&[command, "--bundle"])?;
        made.arg(self.folder.path()).args(options).arg(&self.id);
        Ok(made)
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Ran> {
        Ran::new(self.making("run", &[])?.output()?)
    }

    /// Runs it to its end, which is a success: what it said.
    pub(crate) fn says(&self) -> Result<String> {
        let ran = self.run()?;
        ensure!(ran.code == 0, "exit code {}: {}{}", ran.code, ran.said, ran.complained);
        Ok(ran.said)
    }

    /// Runs it, which the runtime refuses: why.
    pub(crate) fn refusal(&self) -> Result<String> {
        self.refusal_by(1)
    }

    /// Runs it, which the runtime refuses with this exit code: why.
    pub(crate) fn refusal_by(&self, code: i32) -> Result<String> {
        let ran = self.refused()?;
        ensure!(ran.code == code, "exit code {}: {}", ran.code, ran.complained);
        Ok(ran.complained)
    }

    /// Runs it, which the runtime refuses.
    pub(crate) fn refused(&self) -> Result<Ran> {
        let ran = self.run()?;
        ensure!(ran.code != 0 && ran.said.is_empty(), "it ran: {}{}", ran.said, ran.complained);
        ensure!(self.is_gone()?, "something is left of {}", self.id);
        Ok(ran)
    }

    /// Creates and starts it in the background.
    pub(crate) fn start(self) -> Result<Self> {
        self.create()?;
        self.command(&["start", &self.id])?;
        Ok(self)
    }

    pub(crate) fn create(&self) -> Result<()> {
        // Its output would keep pipes open for as long as it runs.
        let mut create = self.making("create", &[])?;
        let log = self.path().join("log");
        let status = create.stdout(Stdio::null()).stderr(fs::File::create(&log)?).status()?;
        ensure!(status.success(), "create failed: {}", fs::read_to_string(log)?);
        Ok(())
    }

    /// A command that succeeds: what it said.
    pub(crate) fn command(&self, args: &[&str]) -> Result<String> {
        let ran = Ran::new(self.oci(args)?.output()?)?;
        ensure!(ran.code == 0, "{args:?} failed: {}", ran.complained);
        Ok(ran.said)
    }

    /// A command that fails: what it complained of.
    pub(crate) fn complaint(&self, args: &[&str]) -> Result<String> {
        let ran = Ran::new(self.oci(args)?.output()?)?;
        ensure!(ran.code != 0, "{args:?} did not fail: {}", ran.said);
        Ok(ran.complained)
    }

    /// Another process in it.
    pub(crate) fn exec(&self, options: &[&str], command: &str) -> Result<Ran> {
        let args = [&["exec"], options, &[self.id.as_str(), "sh", "-c", command]].concat();
        Ran::new(self.oci(&args)?.output()?)
    }

    pub(crate) fn state(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.command(&["state", &self.id])?)?)
    }

    pub(crate) fn wait_for(&self, status: &str) -> Result<()> {
        until(status, || Ok(self.state()?["status"] == status))
    }

    /// Whether no folder, cgroup or mount has its name.
    pub(crate) fn is_gone(&self) -> Result<bool> {
        let state = self.folder.path().join("state").join(&self.id);
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let path = self.folder.path().to_string_lossy();
        Ok(!state.exists() && self.cgroups()?.is_empty() && !mounts.contains(&*path))
    }

    /// The folders of its cgroup.
    pub(crate) fn cgroups(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    if entry.file_name() == self.id.as_str() {
                        found.push(entry.path());
                    }
                    folders.push(entry.path());
                }
            }
        }
        Ok(found)
    }

    /// The cgroup of that controller, or the one for all.
    pub(crate) fn cgroup(&self, controller: &str) -> Result<PathBuf> {
        let all = self.cgroups()?;
        let of = |path: &&PathBuf| path.starts_with(format!("/sys/fs/cgroup/{controller}"));
        let found = all.iter().find(of).or(all.first()).cloned();
        found.with_context(|| format!("{} has no cgroup", self.id))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if let Ok(mut delete) = self.oci(&["delete", "--force", &self.id]) {
            let _ = delete.output();
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) said: String,
    pub(crate) complained: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code().context("the command was killed")?,
            said: String::from_utf8(output.stdout)?,
            complained: String::from_utf8(output.stderr)?,
        })
    }
}

/// What an engine gives to a container without any options.
fn config(args: &[&str]) -> Value {
    let capabilities = json!([
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE",
    ]);
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    let quiet = ["nosuid", "noexec", "nodev"];
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": args,
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": [
            mount("/proc", "proc", &quiet),
            mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts",
                  &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", &quiet),
            mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ],
        "linux": {
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
            ],
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": ["/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/timer_list",
                            "/sys/firmware", "/sys/devices/virtual/powercap"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}
