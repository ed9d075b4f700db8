//! What commands print. The macros are called as those of the standard library, which end in a panic where nobody
//! reads any more or nothing fits any more; in their place these are what is found in the files of the engine.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use rustix::process::{Signal, getpid, kill_process};

macro_rules! print {
    ($($word:tt)*) => { $crate::engine::say::say(format_args!($($word)*)) };
}

macro_rules! println {
    () => { print!("\n") };
    ($($word:tt)*) => { print!("{}\n", format_args!($($word)*)) };
}

macro_rules! eprint {
    ($($word:tt)*) => { $crate::engine::say::complain(format_args!($($word)*)) };
}

macro_rules! eprintln {
    ($($word:tt)*) => { eprint!("{}\n", format_args!($($word)*)) };
}

/// Writes to the standard output. Where that cannot be, the command has nothing more to do.
pub(crate) fn say(words: Arguments<'_>) {
    let mut output = io::stdout().lock();
    match output.write_fmt(words).and_then(|()| output.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => end(),
        Err(error) => {
            complain(format_args!("berth: write to the standard output: {error}\n"));
            std::process::exit(1);
        }
    }
}

/// Writes to the standard error. Where that cannot be, there is nobody to tell.
pub(crate) fn complain(words: Arguments<'_>) {
    let _ = io::stderr().write_fmt(words);
}

/// Ends as programs do whose output nobody reads any more: by the signal that ours are born without.
#[allow(unsafe_code)]
pub(crate) fn end() -> ! {
    // SAFETY: the default action is no handler that could see anything.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    let _ = kill_process(getpid(), Signal::PIPE);
    // What waits for it takes both for the same, should the signal be blocked.
    std::process::exit(128 + libc::SIGPIPE)
}
