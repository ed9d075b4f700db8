//! The container's file system: its root and what is mounted over it, before and after this process
//! is in it.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, mkdirat, open, openat2, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use super::super::Result;
use super::super::cgroups::View;
use super::super::config::linux::NamespaceKind;
use super::super::error::{Doing as _, Error};
use super::super::kernel::mount::{
    Attributes, Setting, attach, attach_in, file_system, set_attributes,
};
use super::super::kernel::procfs::PROC_SUPER_MAGIC;
use super::super::kernel::root::RootDirectory;
use super::super::launch::Opened;
use super::super::plan::{MountPlan, Plan, RootPlan, Source};
use super::files;

const READ_ONLY: u64 = 0x1;

/// Files of a procfs that others may mount something over: they only tell.
const REPLACEABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Mounts everything where the root is on the host, in this process's mount namespace.
pub(super) fn build(plan: &Plan, opened: &mut Opened, is_new_user: bool) -> Result<RootDirectory> {
    if plan.namespaces.is_new(NamespaceKind::Mount) {
        separate(plan.root.propagation)?;
    }
    let root = opened.root.try_clone().doing(|| "open the root")?;
    // The root cannot be changed to one that is shared, so that comes after.
    let shared = plan.root.propagation == libc::MS_SHARED;
    let propagation = if shared { libc::MS_SLAVE } else { plan.root.propagation };
    set_attributes(root.as_fd(), Attributes { propagation, ..Attributes::default() }, true)
        .doing(|| "set the propagation of the root")?;
    attach(&root, directory(&plan.root.path)?).doing(|| "mount the root")?;
    let root = RootDirectory::new(root);
    for (mount, trees) in plan.root.mounts.iter().zip(opened.trees.drain(..)) {
        let doing =
            || format!("mount {} on {}", name_of(&mount.source), mount.destination.display());
        mount_one(&root, mount, trees, doing)?;
    }
    files::make_devices(&root, &plan.root.nodes, is_new_user)?;
    files::make_links(&root)?;
    root.make_directory(&plan.process.cwd, 0o755)
        .doing(|| format!("make the working directory {}", plan.process.cwd.display()))?;
    Ok(root)
}

/// Mounts made here never reach the host. Those of the host go on to come here, unless they are
/// not wanted, until the root is changed.
fn separate(propagation: u64) -> Result<()> {
    let private = propagation == libc::MS_PRIVATE;
    let propagation = if private { libc::MS_PRIVATE } else { libc::MS_SLAVE };
    let slash = directory(Path::new("/"))?;
    set_attributes(slash.as_fd(), Attributes { propagation, ..Attributes::default() }, true)
        .doing(|| "separate the mounts from those of the host")
}

fn name_of(source: &Source) -> String {
    match source {
        Source::FileSystem { kind, .. } => kind.clone(),
        Source::Bind { path, .. } => path.display().to_string(),
        Source::Cgroups(_) => "cgroup".to_owned(),
    }
}

pub(super) fn directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty()).doing(|| format!("open {}", path.display()))
}

fn mount_one(
    root: &RootDirectory,
    mount: &MountPlan,
    trees: Vec<OwnedFd>,
    doing: impl Fn() -> String + Copy,
) -> Result<()> {
    let path = &mount.destination;
    match &mount.source {
        Source::FileSystem { kind, device, settings } => {
            // A folder in memory is like the one that it hides.
            let hides = kind == "tmpfs" && root.look_up(path).is_ok();
            let target = root.make_directory(path, 0o755).doing(doing)?;
            if matches!(kind.as_str(), "proc" | "sysfs") {
                refuse_links(root, path)?;
            } else {
                refuse_procfs(&target, path)?;
            }
            let device = device.as_deref().map(Path::as_os_str);
            // Its mode can be changed before it is read-only.
            let first = mount.attributes.set & if hides { !READ_ONLY } else { !0 };
            let made = file_system(kind, device, settings, first).doing(doing)?;
            if hides {
                files::take_after(&target, &made, settings).doing(doing)?;
            }
            set_attributes(made.as_fd(), mount.recursive_attributes, true).doing(doing)?;
            let late = mount.attributes.set & READ_ONLY;
            let last = Attributes { set: late, clear: 0, ..mount.attributes };
            set_attributes(made.as_fd(), last, false).doing(doing)?;
            attach(made, target).doing(doing)
        }
        Source::Bind { .. } => trees.into_iter().try_for_each(|tree| {
            let kind = FileType::from_raw_mode(fstat(&tree).doing(doing)?.st_mode);
            let target = if kind == FileType::Directory {
                root.make_directory(path, 0o755)
            } else {
                root.make_file(path)
            };
            let target = target.doing(doing)?;
            if path != Path::new("/proc") {
                refuse_procfs(&target, path)?;
            }
            // The kernel calls this an invalid argument, and engines look for these words.
            let found = FileType::from_raw_mode(fstat(&target).doing(doing)?.st_mode);
            if (found == FileType::Directory) != (kind == FileType::Directory) {
                return Err(Errno::NOTDIR).doing(doing);
            }
            attach(tree, target).doing(doing)
        }),
        Source::Cgroups(views) => mount_cgroups(root, mount, views, trees, doing),
    }
}

/// The trees of version 1, in a folder in memory.
fn mount_cgroups(
    root: &RootDirectory,
    mount: &MountPlan,
    views: &[View],
    trees: Vec<OwnedFd>,
    doing: impl Fn() -> String + Copy,
) -> Result<()> {
    let target = root.make_directory(&mount.destination, 0o755).doing(doing)?;
    refuse_procfs(&target, &mount.destination)?;
    let mode = Setting::Value("mode".to_owned(), "755".to_owned());
    let attributes = mount.attributes.set & !READ_ONLY;
    let folder =
        file_system("tmpfs", Some(OsStr::new("tmpfs")), &[mode], attributes).doing(doing)?;
    attach(&folder, target).doing(doing)?;
    // Nobody but this process has made anything in there, so names are what they seem to be.
    for (view, tree) in views.iter().zip(trees) {
        mkdirat(&folder, &view.name, Mode::from_raw_mode(0o755)).doing(doing)?;
        attach_in(tree, &folder, &view.name).doing(doing)?;
        for link in &view.links {
            symlinkat(&view.name, &folder, link).doing(doing)?;
        }
    }
    let read_only = Attributes { set: mount.attributes.set & READ_ONLY, ..Attributes::default() };
    set_attributes(folder.as_fd(), read_only, false).doing(doing)
}

/// A procfs or sysfs is where it seems to be, or programs and this runtime would take another folder
/// for it (CVE-2019-19921).
fn refuse_links(root: &RootDirectory, path: &Path) -> Result<()> {
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat2(root.as_fd(), path, flags, Mode::empty(), inside) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::invalid(format!(
            "mounts: {} must be a folder in the container's root, and no symbolic link",
            path.display()
        ))),
    }
}

/// Nothing may pretend to be a part of a procfs, by whatever way its target turns out to be one.
fn refuse_procfs(target: &OwnedFd, path: &Path) -> Result<()> {
    let doing = || format!("look at {}", path.display());
    if fstatfs(target).doing(doing)?.f_type as u64 != PROC_SUPER_MAGIC {
        return Ok(());
    }
    let clean: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if REPLACEABLE.iter().any(|allowed| clean == Path::new(allowed)) {
        return Ok(());
    }
    Err(Error::invalid(format!("mounts: {} is inside a procfs", path.display())))
}

/// How the root of this process becomes the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The mount namespace gets another root, and that of the host is not there any more.
    Pivot,
    /// The container's is moved over that of the host, for roots that cannot be left otherwise.
    Move,
    /// Others are in this mount namespace, whose root stays what it is.
    Enter,
}

/// Has this process see the container's root and nothing else.
pub(super) fn change_to(root: &RootDirectory, change: Change, plan: &RootPlan) -> Result<()> {
    fchdir(root).doing(|| "enter the root")?;
    if change == Change::Pivot {
        // The old root ends up above the new one, where it is let go of at once.
        pivot_root(".", ".").doing(|| {
            format!("change the root to {} (--no-pivot does it another way)", plan.path.display())
        })?;
        unmount(".", UnmountFlags::DETACH).doing(|| "let go of the root of the host")?;
    } else {
        if change == Change::Move {
            let slash = directory(Path::new("/"))?;
            attach(root, slash).doing(|| "move the root over that of the host")?;
        }
        chroot(".").doing(|| "change the root")?;
    }
    chdir("/").doing(|| "enter the root")?;
    if plan.propagation == libc::MS_SHARED {
        let shared = Attributes { propagation: libc::MS_SHARED, ..Attributes::default() };
        set_attributes(root.as_fd(), shared, false).doing(|| "share the root")?;
    }
    Ok(())
}
