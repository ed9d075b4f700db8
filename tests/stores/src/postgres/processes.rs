//! The processes of a server, one for each client and some more, for those who kill them all.

use std::fs;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// The processes that a process has started.
pub(super) fn children(parent: u32) -> Result<Vec<Pid>> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))
        .context("cannot list the processes of the server")?;
    children
        .split_whitespace()
        .map(|child| Pid::from_raw(child.parse()?).context("no process has number 0"))
        .collect()
}

/// Kills processes that need not be children of this one, and returns once they are gone.
pub(super) fn kill_all(processes: &[Pid]) -> Result<()> {
    for process in processes {
        match kill_process(*process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error).context("cannot kill a process of the server"),
        }
    }
    wait::until("the processes of the server are gone", || {
        Ok(!processes.iter().any(|process| is_alive(*process)))
    })
}

/// A process that nobody has asked for its end holds nothing any more.
fn is_alive(process: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    let state = stat.ok().and_then(|stat| stat.rsplit_once(')')?.1.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}
