//! What a process sets for itself before it executes another program.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves this thread, which is the whole process where it has but one, into new namespaces; its table of files stays as
/// it is.
pub(crate) fn unshare(namespaces: UnshareFlags) -> io::Result<()> {
    debug_assert!(!namespaces.contains(UnshareFlags::FILES));
    // SAFETY: what rustix warns of is a table of descriptors of a thread's own, which this is not.
    Ok(unsafe { unshare_unsafe(namespaces) }?)
}

/// One instruction of a classic BPF program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) if_true: u8,
    pub(crate) if_false: u8,
    pub(crate) value: u32,
}

/// Installs a seccomp filter. With `SECCOMP_FILTER_FLAG_NEW_LISTENER` there is a descriptor that
/// questions come to.
pub(crate) fn filter_system_calls(
    program: &[Instruction],
    flags: libc::c_ulong,
) -> io::Result<Option<OwnedFd>> {
    let mut program: Vec<libc::sock_filter> = program
        .iter()
        .map(|instruction| libc::sock_filter {
            code: instruction.code,
            jt: instruction.if_true,
            jf: instruction.if_false,
            k: instruction.value,
        })
        .collect();
    let length = u16::try_from(program.len()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "the seccomp filter is too long")
    })?;
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: `filter` names as many instructions as there are, and the kernel copies them.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const filter)
    };
    match i32::try_from(result) {
        Ok(fd) if fd > 0 && flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 => {
            // SAFETY: the kernel has just opened it for this process.
            Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
        }
        Ok(0) => Ok(None),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has every descriptor from `first` on closed by the next `execve`.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: no memory is involved, and a mark for later takes no descriptor from its owner now.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Joins a new session keyring of the name `name`, so that the caller's keys stay the caller's. A
/// kernel without keyrings has none to hide.
pub(crate) fn new_session_keyring(name: &CStr) -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the name is a C string that lives until the return.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    match io::Error::last_os_error() {
        _ if result >= 0 => Ok(()),
        error if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        error => Err(error),
    }
}

/// Switches the interface `lo` of this network namespace on.
pub(crate) fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    use std::os::fd::AsRawFd as _;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    // SAFETY: all zero is a request without a name and without flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request has a name that ends in a zero byte, and flags, which this call reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sets the execution domain.
pub(crate) fn set_personality(personality: libc::c_ulong) -> io::Result<()> {
    // SAFETY: no memory is involved.
    let result = unsafe { libc::personality(personality) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes another program. Returns only to say why not.
pub(crate) fn execute(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let args = pointers(args);
    let env = pointers(env);
    // SAFETY: both arrays end in a null pointer, and all before are C strings that are borrowed here.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// The same of what is open as `program`.
pub(crate) fn execute_open(program: &OwnedFd, args: &[CString], env: &[CString]) -> io::Error {
    let args = pointers(args);
    let env = pointers(env);
    // SAFETY: as in `execute`.
    unsafe { execute_raw(program.as_fd(), args.as_ptr(), env.as_ptr()) }
}

/// The same with arguments and environment as the kernel takes them; allocates nothing.
///
/// # Safety
///
/// Both arrays end in a null pointer, and all before point to C strings.
pub(crate) unsafe fn execute_raw(
    program: BorrowedFd<'_>,
    args: *const *const libc::c_char,
    env: *const *const libc::c_char,
) -> io::Error {
    // SAFETY: the caller has promised what the kernel expects of the arrays.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            args,
            env,
            libc::AT_EMPTY_PATH,
        );
    }
    io::Error::last_os_error()
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Closes every descriptor from 3 on but those in `kept`.
///
/// It is for a process that was cloned just now and goes on with nothing else of what it had: whatever
/// is open and not in `kept` must not be used by it again.
pub(crate) fn close_all_but(kept: &[libc::c_int]) -> io::Result<()> {
    let mut kept: Vec<libc::c_uint> = kept.iter().filter_map(|&fd| fd.try_into().ok()).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept.into_iter().filter(|&fd| fd >= 3).chain([libc::c_uint::MAX]) {
        let last = if fd == libc::c_uint::MAX { fd } else { fd - 1 };
        if first <= last {
            // SAFETY: no memory is involved, and the caller has promised not to use what is closed.
            if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}
