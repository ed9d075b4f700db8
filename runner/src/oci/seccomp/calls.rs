//! The numbers of system calls by name.

use syscalls::{aarch64, arm, x86, x86_64};

use super::super::config::seccomp::Architecture;

/// What this program is built for.
pub(super) const NATIVE: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Aarch64 } else { Architecture::X86_64 };

const X32: u32 = 0x4000_0000;

/// Calls whose structures x32 has in a shape of its own, from this number on.
const FIRST_OF_X32: u32 = 512;
const OF_X32: [&str; 36] = [
    "rt_sigaction",
    "rt_sigreturn",
    "ioctl",
    "readv",
    "writev",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "execve",
    "ptrace",
    "rt_sigpending",
    "rt_sigtimedwait",
    "rt_sigqueueinfo",
    "sigaltstack",
    "timer_create",
    "mq_notify",
    "kexec_load",
    "waitid",
    "set_robust_list",
    "get_robust_list",
    "vmsplice",
    "move_pages",
    "preadv",
    "pwritev",
    "rt_tgsigqueueinfo",
    "recvmmsg",
    "sendmmsg",
    "process_vm_readv",
    "process_vm_writev",
    "setsockopt",
    "getsockopt",
    "io_setup",
    "io_submit",
    "execveat",
    "preadv2",
    "pwritev2",
];

/// The numbers of a call: none where there is no such call, two where x32 has it twice.
pub(super) fn numbers(architecture: Architecture, name: &str) -> impl Iterator<Item = u32> {
    let number = match architecture {
        Architecture::X86_64 => name.parse::<x86_64::Sysno>().ok().map(|call| call.id()),
        Architecture::X86 => name.parse::<x86::Sysno>().ok().map(|call| call.id()),
        Architecture::X32 => name.parse::<x86_64::Sysno>().ok().map(|call| call.id()),
        Architecture::Aarch64 => name.parse::<aarch64::Sysno>().ok().map(|call| call.id()),
        Architecture::Arm => name.parse::<arm::Sysno>().ok().map(|call| call.id()),
        Architecture::Other => None,
    };
    let is_x32 = architecture == Architecture::X32;
    let bit = if is_x32 { X32 } else { 0 };
    let own = OF_X32.iter().position(|own| is_x32 && *own == name);
    let own = own.map(|index| FIRST_OF_X32 + index as u32);
    number.into_iter().map(|number| number as u32).chain(own).map(move |number| number | bit)
}
