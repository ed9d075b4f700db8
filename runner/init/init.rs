//! The first process of a container that was asked for `--init`: it starts the program, passes signals
//! on to it, takes away what has ended, and ends as the program ends.
//!
//! It is mounted into containers of any image, so it must need nothing that is there: it is made of
//! system calls alone, and linked with nothing. `build.rs` of the runner compiles it.
//!
//! `init -- PROGRAM ARGUMENTS…`

#![no_std]
#![no_main]
// Without this, a loop over bytes would become a call of a library that is not there.
#![no_builtins]

use core::mem::MaybeUninit;
use core::ptr::null;

#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod kernel;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod kernel;

use kernel::{call, number};

const SIGCHLD: i32 = 17;
const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
/// Bytes of a set of signals.
const SET: usize = 8;
const WNOHANG: usize = 1;
const TIOCSPGRP: usize = 0x5410;
const ENOENT: isize = -2;
const EACCES: isize = -13;
const EAGAIN: isize = -11;
const PATH_MAX: usize = 4096;
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0";

/// Signals that tell of a fault of this program itself are not held back: ill, trap, abrt, bus, fpe,
/// segv, sys.
const FAULTS: u64 = bit(4) | bit(5) | bit(6) | bit(7) | bit(8) | bit(11) | bit(31);
/// Somebody in the background must be able to hand over the terminal: ttin, ttou.
const TTOU: u64 = bit(22);

const fn bit(signal: u64) -> u64 {
    1 << (signal - 1)
}

/// Runs from the first instruction; `stack` is what the kernel has put there: the number of
/// arguments, the arguments, nothing, the environment, nothing.
///
/// # Safety
///
/// To be called by the entry point alone, with the stack pointer that the kernel has set.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel puts the arguments and the environment there, each list with a zero behind it.
    let (count, arguments, environment) = unsafe {
        let count = *stack;
        (count, stack.add(1).cast::<*const u8>(), stack.add(count + 2).cast::<*const u8>())
    };
    // The name, `--`, and a program at least.
    if count < 3 {
        exit(127);
    }
    let all: u64 = !FAULTS;
    let mut before: u64 = 0;
    // SAFETY: both sets are there for the length of the call.
    unsafe {
        call(number::RT_SIGPROCMASK, [SIG_BLOCK, (&raw const all) as usize, (&raw mut before) as usize, SET, 0, 0]);
    }
    // SAFETY: no memory is shared with the child.
    let child = unsafe { call(number::CLONE, [SIGCHLD as usize, 0, 0, 0, 0, 0]) };
    if child < 0 {
        exit(125);
    }
    // SAFETY: the lists end with zeros, and the child has them all.
    unsafe {
        if child == 0 {
            become_program(arguments.add(2), environment, before);
        }
    }
    watch(child)
}

/// Waits for signals until the program has ended.
fn watch(child: isize) -> ! {
    let all: u64 = u64::MAX & !FAULTS;
    loop {
        // SAFETY: the set is there for the length of the call.
        let signal = unsafe {
            call(number::RT_SIGTIMEDWAIT, [(&raw const all) as usize, 0, 0, SET, 0, 0])
        };
        if signal == SIGCHLD as isize {
            if let Some(status) = reap(child) {
                exit(status);
            }
        } else if signal > 0 {
            // SAFETY: this touches no memory.
            unsafe { call(number::KILL, [child as usize, signal as usize, 0, 0, 0, 0]) };
        } else if signal != EAGAIN && signal != -4 {
            exit(125);
        }
    }
}

/// Takes away all that have ended: how the program has, if it is among them.
fn reap(child: isize) -> Option<i32> {
    let mut ended = None;
    loop {
        let mut status: i32 = 0;
        // SAFETY: the status is there for the length of the call.
        let pid = unsafe {
            call(number::WAIT4, [usize::MAX, (&raw mut status) as usize, WNOHANG, 0, 0, 0])
        };
        if pid <= 0 {
            return ended;
        }
        if pid == child {
            let signal = status & 0x7f;
            ended = Some(if signal == 0 { (status >> 8) & 0xff } else { 128 + signal });
        }
    }
}

/// # Safety
///
/// Both lists have a zero behind them.
unsafe fn become_program(
    arguments: *const *const u8,
    environment: *const *const u8,
    before: u64,
) -> ! {
    // A process group of its own, which has the terminal if there is one: what is typed there is for
    // the program alone.
    // SAFETY: what is pointed at is there for the length of each call.
    unsafe {
        call(number::SETPGID, [0, 0, 0, 0, 0, 0]);
        let own = call(number::GETPID, [0, 0, 0, 0, 0, 0]) as i32;
        let all: u64 = TTOU;
        call(number::RT_SIGPROCMASK, [SIG_BLOCK, (&raw const all) as usize, 0, SET, 0, 0]);
        call(number::IOCTL, [0, TIOCSPGRP, (&raw const own) as usize, 0, 0, 0]);
        call(number::RT_SIGPROCMASK, [SIG_SETMASK, (&raw const before) as usize, 0, SET, 0, 0]);
        let error = execute(*arguments, arguments, environment);
        complain(*arguments, error);
        exit(if error == ENOENT { 127 } else { 126 })
    }
}

/// Looks for the program as a shell does.
///
/// # Safety
///
/// The name and both lists have a zero behind them.
unsafe fn execute(
    name: *const u8,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> isize {
    let run = |path: *const u8| {
        // SAFETY: the caller's lists.
        unsafe {
            call(number::EXECVE, [path as usize, arguments as usize, environment as usize, 0, 0, 0])
        }
    };
    // SAFETY: everything that is read ends with a zero, and nothing is written behind the buffer.
    unsafe {
        if has_slash(name) {
            return run(name);
        }
        let mut path = find_path(environment);
        let mut error = ENOENT;
        loop {
            let mut buffer = MaybeUninit::<[u8; PATH_MAX]>::uninit();
            let start = buffer.as_mut_ptr().cast::<u8>();
            let mut at = 0;
            while *path != 0 && *path != b':' && at < PATH_MAX / 2 {
                *start.add(at) = *path;
                path = path.add(1);
                at += 1;
            }
            while *path != 0 && *path != b':' {
                path = path.add(1);
            }
            *start.add(at) = b'/';
            at += 1;
            let mut rest = name;
            while *rest != 0 && at < PATH_MAX - 1 {
                *start.add(at) = *rest;
                rest = rest.add(1);
                at += 1;
            }
            *start.add(at) = 0;
            match run(start) {
                ENOENT => {}
                EACCES => error = EACCES,
                // Not a folder: as if it were not there.
                -20 => {}
                other => return other,
            }
            if *path == 0 {
                return error;
            }
            path = path.add(1);
        }
    }
}

/// # Safety
///
/// The text has a zero behind it.
unsafe fn has_slash(mut text: *const u8) -> bool {
    // SAFETY: see above.
    unsafe {
        while *text != 0 {
            if *text == b'/' {
                return true;
            }
            text = text.add(1);
        }
    }
    false
}

/// # Safety
///
/// The list and its members have a zero behind them.
unsafe fn find_path(mut environment: *const *const u8) -> *const u8 {
    // SAFETY: see above.
    unsafe {
        while *environment != null() {
            let pair = *environment;
            if *pair == b'P'
                && *pair.add(1) == b'A'
                && *pair.add(2) == b'T'
                && *pair.add(3) == b'H'
                && *pair.add(4) == b'='
            {
                return pair.add(5);
            }
            environment = environment.add(1);
        }
    }
    DEFAULT_PATH.as_ptr()
}

/// # Safety
///
/// The name has a zero behind it.
unsafe fn complain(name: *const u8, error: isize) {
    let say = |text: *const u8, length: usize| {
        // SAFETY: so much is there.
        unsafe { call(number::WRITE, [2, text as usize, length, 0, 0, 0]) };
    };
    let before = b"exec ";
    let after: &[u8] = match error {
        ENOENT => b" failed: No such file or directory\n",
        EACCES => b" failed: Permission denied\n",
        _ => b" failed\n",
    };
    let mut length = 0;
    // SAFETY: see above.
    unsafe {
        while *name.add(length) != 0 {
            length += 1;
        }
    }
    say(before.as_ptr(), before.len());
    say(name, length);
    say(after.as_ptr(), after.len());
}

fn exit(status: i32) -> ! {
    loop {
        // SAFETY: this touches no memory.
        unsafe { call(number::EXIT_GROUP, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(125)
}
