//! What the host is like, as far as a container depends on it.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::statfs;
use rustix::thread::capabilities as held;

use super::super::SpecError;

const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// Facts that every container needs; found out in a few system calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The capabilities that this process can hand on, a bit for each number.
    pub capabilities: u64,
    /// Whether cgroups are those of version 2 alone.
    pub unified_cgroups: bool,
    /// Whether AppArmor is there and switched on.
    pub apparmor: bool,
    /// Whether SELinux is.
    pub selinux: bool,
    /// Major and minor version.
    pub kernel: (u32, u32),
}

impl HostFacts {
    /// Asks the host.
    ///
    /// # Errors
    ///
    /// What it would not tell.
    pub fn detect() -> Result<Self, SpecError> {
        let capabilities = held(None).map_err(|source| SpecError::Host {
            doing: "read the capabilities of this process",
            source: source.into(),
        })?;
        let apparmor = fs::read("/sys/module/apparmor/parameters/enabled");
        Ok(Self {
            capabilities: capabilities.permitted.bits(),
            #[allow(clippy::unnecessary_cast, reason = "it has other types elsewhere")]
            unified_cgroups: statfs("/sys/fs/cgroup")
                .is_ok_and(|found| found.f_type as i64 == CGROUP2_MAGIC),
            apparmor: apparmor.is_ok_and(|text| text.starts_with(b"Y")),
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
            kernel: kernel(),
        })
    }

    /// How many processors this process may run on.
    pub(in crate::spec) fn processors() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// As in `0-3`.
    pub(in crate::spec) fn online_processors() -> String {
        read_set("/sys/devices/system/cpu/online")
    }

    /// As in `0`.
    pub(in crate::spec) fn online_nodes() -> String {
        read_set("/sys/devices/system/node/online")
    }

    /// Whether one container can have more of a disk than another.
    pub(in crate::spec) fn weighs_block_io() -> bool {
        const FILES: [&str; 4] = [
            "/sys/fs/cgroup/blkio/blkio.weight",
            "/sys/fs/cgroup/blkio/blkio.bfq.weight",
            "/sys/fs/cgroup/io.bfq.weight",
            "/sys/fs/cgroup/system.slice/io.bfq.weight",
        ];
        FILES.iter().any(|file| Path::new(file).exists())
    }

    /// Files that tell how busy the host is, of each processor that has them.
    pub(super) fn thermal_throttles() -> &'static [String] {
        static FOUND: OnceLock<Vec<String>> = OnceLock::new();
        FOUND.get_or_init(|| {
            let path =
                |number: u32| format!("/sys/devices/system/cpu/cpu{number}/thermal_throttle");
            // Where the first has none, none has.
            if !Path::new(&path(0)).exists() {
                return Vec::new();
            }
            let possible = read_set("/sys/devices/system/cpu/possible");
            let numbers = super::super::parse::numbers(&possible).unwrap_or_default();
            numbers.into_iter().map(path).filter(|path| Path::new(path).exists()).collect()
        })
    }
}

/// A machine without such a file has one of everything.
fn read_set(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "0".to_owned(), |text| text.trim().to_owned())
}

fn kernel() -> (u32, u32) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    (number(), number())
}
