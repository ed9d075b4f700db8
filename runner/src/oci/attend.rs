//! Staying with a process until its end: its signals, its terminal, its exit code.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, pidfd_send_signal};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::Result;
use super::error::{Doing as _, Error};
use super::kernel::clone::Child;
use super::kernel::pidfd::{exit_code, reap};
use super::kernel::signals;

/// Stays with a child until it has ended: the signals that were diverted are its, and its terminal is shown as
/// this command's. Gives its exit code, and 128 with the number of the signal that killed it.
pub(crate) fn stay(child: &Child, signals: &OwnedFd, terminal: Option<OwnedFd>) -> Result<u8> {
    show(child, signals, terminal.map(Terminal::new))?;
    let status = reap(child.pid, child.pidfd.as_fd());
    status
        .map(exit_code)
        .ok_or_else(|| Error::Init("nobody knows how the process ended".to_owned()))
}

/// Passes signals and what is typed on, until the process has ended and all it said is shown.
fn show(child: &Child, signals: &OwnedFd, mut terminal: Option<Terminal>) -> Result<()> {
    if let Some(terminal) = &terminal {
        terminal.take_size();
    }
    loop {
        let mut waiting =
            vec![PollFd::new(&child.pidfd, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        if let Some(terminal) = terminal.as_ref().filter(|terminal| terminal.is_open) {
            waiting.push(PollFd::new(&terminal.outer, PollFlags::IN));
            if terminal.input_is_open {
                waiting.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN));
            }
        }
        match poll(&mut waiting, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.doing(|| "wait for the process")?,
        };
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[1] {
            while let Some(signal) = signals::next(signals) {
                pass_on(child, signal, terminal.as_ref());
            }
        }
        let mut said = false;
        if let Some(terminal) = &mut terminal {
            if ready.get(2) == Some(&true) {
                said = terminal.show();
                terminal.is_open = said;
            }
            if ready.get(3) == Some(&true) {
                terminal.type_on();
            }
        }
        if ready[0] && !said {
            return Ok(());
        }
    }
}

fn pass_on(child: &Child, signal: Signal, terminal: Option<&Terminal>) {
    match signal {
        Signal::CHILD | Signal::URG => {}
        Signal::WINCH if terminal.is_some() => {
            if let Some(terminal) = terminal {
                terminal.take_size();
            }
        }
        // One that has ended already needs no signal.
        signal => {
            let _ = pidfd_send_signal(&child.pidfd, signal);
        }
    }
}

/// The terminal of the process beside that of the command, which is raw meanwhile.
struct Terminal {
    outer: File,
    before: Option<Termios>,
    is_open: bool,
    input_is_open: bool,
}

impl Terminal {
    fn new(outer: OwnedFd) -> Self {
        let stdin = rustix::stdio::stdin();
        // It is a terminal only when its settings can be read.
        let before = tcgetattr(stdin).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(stdin, OptionalActions::Now, &raw);
        }
        Self { outer: outer.into(), before, is_open: true, input_is_open: true }
    }

    fn take_size(&self) {
        if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
            let _ = tcsetwinsize(&self.outer, size);
        }
    }

    /// Shows what the process has said. `false` when it said nothing: an error is the end of all that
    /// have the terminal.
    fn show(&mut self) -> bool {
        let mut bytes = [0; 8192];
        match self.outer.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                let mut output = std::io::stdout().lock();
                let _ = output.write_all(&bytes[..length]).and_then(|()| output.flush());
                true
            }
        }
    }

    fn type_on(&mut self) {
        let mut bytes = [0; 8192];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(0) | Err(_) => self.input_is_open = false,
            Ok(length) => {
                let _ = self.outer.write_all(&bytes[..length]);
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, before);
        }
    }
}
