//! The program: found, and executed with the rights of the plan.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, FileType, OFlags, accessat, stat};
use rustix::process::{fchdir, getcwd};
use rustix::thread::{CapabilitySet, set_no_new_privs};

use super::super::Result;
use super::super::error::{Doing as _, Error, WORKING_DIRECTORY};
use super::super::kernel::procfs::Procfs;
use super::super::kernel::root::RootDirectory;
use super::super::kernel::task;
use super::super::plan::ProcessPlan;
use super::identity;

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that is there.
#[derive(Debug)]
pub(super) struct Program(CString);

/// Becomes who the plan says, and finds the program. What is left is little: to install the filter of
/// system calls, to drop what that needs, and to execute.
pub(super) fn prepare(
    process: &ProcessPlan,
    root: &RootDirectory,
    procfs: &Procfs,
) -> Result<Program> {
    label(process, procfs)?;
    if let Some(personality) = process.personality {
        task::set_personality(personality).doing(|| "set the personality")?;
    }
    let entered = enter(process, root);
    identity::assume(process, spare(process))?;
    // Some folders only their owner may enter, and some only root.
    if entered.is_err() {
        enter(process, root)?;
    }
    let cwd = getcwd(Vec::new()).doing(|| "look at the working directory")?;
    if !cwd.to_bytes().starts_with(b"/") {
        return Err(Error::invalid(format!(
            "process.cwd: {} is outside of the container",
            process.cwd.display()
        )));
    }
    if process.no_new_privileges {
        set_no_new_privs(true).doing(|| "forbid new privileges")?;
    }
    find(process).map(Program)
}

impl Program {
    /// Never returns but with the reason why not.
    pub(super) fn execute(&self, process: &ProcessPlan) -> Result<Infallible> {
        if let Some(filter) = &process.seccomp {
            task::filter_system_calls(&filter.program, filter.flags)
                .doing(|| "install the filter of system calls")?;
        }
        identity::settle(process)?;
        let error = task::execute(&self.0, &process.args, &process.env);
        Err(refused(&self.0.to_string_lossy(), error))
    }
}

/// A filter may be installed by whoever can gain no privileges, or has this one.
fn spare(process: &ProcessPlan) -> CapabilitySet {
    if process.seccomp.is_some() && !process.no_new_privileges {
        CapabilitySet::SYS_ADMIN
    } else {
        CapabilitySet::empty()
    }
}

fn label(process: &ProcessPlan, procfs: &Procfs) -> Result<()> {
    if let Some(profile) = &process.apparmor_profile {
        let value = format!("exec {profile}");
        let written = procfs
            .write("self/attr/apparmor/exec", &value)
            .or_else(|_| procfs.write("self/attr/exec", &value));
        written.doing(|| format!("apply the AppArmor profile {profile}"))?;
    }
    if let Some(label) = &process.selinux_label {
        procfs
            .write("self/attr/exec", label)
            .doing(|| format!("apply the SELinux label {label}"))?;
    }
    Ok(())
}

/// Enters the working directory, through no link of `/proc` to an open file: one of those may lead
/// out (CVE-2024-21626).
fn enter(process: &ProcessPlan, root: &RootDirectory) -> Result<()> {
    let folder = root.open(&process.cwd, OFlags::PATH | OFlags::DIRECTORY);
    folder
        .and_then(|folder| Ok(fchdir(folder)?))
        .doing(|| format!("{WORKING_DIRECTORY} {}", process.cwd.display()))
}

/// Where the program is, as a shell finds it. Engines look for these words.
fn find(process: &ProcessPlan) -> Result<CString> {
    // A plan has at least one.
    let name = process.args.first().map_or(&[][..], |name| name.to_bytes());
    let shown = String::from_utf8_lossy(name).into_owned();
    if name.contains(&b'/') {
        let path = PathBuf::from(OsStr::from_bytes(name));
        return match is_executable(&path) {
            Ok(()) => c_string(path),
            Err(error) => Err(refused(&shown, error)),
        };
    }
    let mut denied = None;
    let path = match name {
        // The name of nothing would be found in every folder: as the folder.
        b"" => &[],
        _ => process.variable("PATH").unwrap_or(DEFAULT_PATH),
    };
    for folder in path.split(|&byte| byte == b':').filter(|folder| !folder.is_empty()) {
        let path = Path::new(OsStr::from_bytes(folder)).join(OsStr::from_bytes(name));
        match is_executable(&path) {
            Ok(()) => return c_string(path),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(error),
            Err(_) => {}
        }
    }
    match denied {
        Some(error) => Err(refused(&shown, error)),
        None => Err(Error::Init(format!("exec: {shown:?}: executable file not found in $PATH"))),
    }
}

/// Why a program is not executed. By the words, spelled as Go spells them, engines tell a program that is
/// not there (exit code 127) from one that cannot be executed (126).
fn refused(program: &str, error: io::Error) -> Error {
    let words = match error.raw_os_error() {
        Some(libc::ENOENT) => &format!("stat {program}: no such file or directory"),
        Some(libc::EACCES) => "permission denied",
        Some(libc::ENOTDIR) => "not a directory",
        _ => {
            return Error::System { doing: format!("exec: {program:?}"), source: error };
        }
    };
    Error::Init(format!("exec: {program:?}: {words}"))
}

fn is_executable(path: &Path) -> io::Result<()> {
    let kind = FileType::from_raw_mode(stat(path)?.st_mode);
    if kind == FileType::Directory {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "is a directory: permission denied",
        ));
    }
    Ok(accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// A path or a name as the kernel takes it.
pub(super) fn c_string(text: impl Into<PathBuf>) -> Result<CString> {
    CString::new(text.into().into_os_string().into_vec())
        .map_err(|_| Error::invalid("a path has a zero byte in it"))
}
