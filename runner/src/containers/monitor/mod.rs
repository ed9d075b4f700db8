//! The monitor of a container: one process with one thread, from before its program starts until all is given
//! back.
//!
//! It is cloned from the command that starts the container, and not executed anew: that costs a fraction, and it
//! finds in its memory what the command has read already. It lets go of all that was the command's, and waits:
//! for what the program writes, which goes into the log and to whoever is attached; for what those have for it to
//! read; for its end.
//!
//! A monitor may be killed. The program goes on, as it has its pipes by their names ([`streams`]) and reads as
//! well as writes them, so that it is never told that nobody listens. The next command that looks finds a program
//! without a monitor and clones another one, which takes it up; what it missed is in the pipes. The exit code is
//! not lost either, since the kernel keeps it for as long as a mount of the process is there (Linux 6.15). What
//! a terminal shows goes by a descriptor that only the monitor has, so a program on a terminal gets a hang-up.

mod bring_up;
mod clients;
mod end;
mod streams;
mod watch;

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::exit;

use jiff::Timestamp;
use rustix::process::{chdir, set_child_subreaper, setsid, umask};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::engine::Engine;
use super::error::{ContainerError, Doing as _};
use super::process::Process;
use super::record::{Record, Running};
use super::runtime::null;
use super::store::Held;
use super::wire::Failure;
use crate::network::{Endpoint, Networks};
use crate::oci::kernel::clone::{Cloned, clone};
use crate::oci::kernel::{memory, signals, task};

use clients::Clients;
use streams::Streams;

pub(super) use end::{give_back, give_back_unknown};
pub(super) use watch::SOCKET;

/// What a monitor is for.
#[derive(Debug)]
enum Purpose {
    /// To start a container, and to tell whoever wants that.
    Start,
    /// To take up a program whose monitor is gone.
    Adopt(Running),
}

/// Starts a container that this command holds. What happens is told by the stream that is given back.
pub(super) fn start(
    engine: &Engine,
    held: Held,
    record: Record,
) -> Result<UnixStream, ContainerError> {
    let (ours, theirs) = UnixStream::pair().doing(|| "make a pair of sockets")?;
    spawn(engine, held, record, Purpose::Start, Some(theirs))?;
    Ok(ours)
}

/// Takes up a program whose monitor was killed.
pub(super) fn adopt(
    engine: &Engine,
    held: Held,
    record: Record,
    running: Running,
) -> Result<(), ContainerError> {
    spawn(engine, held, record, Purpose::Adopt(running), None)
}

fn spawn(
    engine: &Engine,
    held: Held,
    record: Record,
    purpose: Purpose,
    client: Option<UnixStream>,
) -> Result<(), ContainerError> {
    match clone(0, None).doing(|| "clone the monitor")? {
        // The lock goes on in the clone.
        Cloned::Parent(_) => Ok(()),
        Cloned::Child => {
            let monitor = Monitor { engine: engine.clone(), held, record };
            monitor.run(purpose, client)
        }
    }
}

/// One that is in charge of a container.
struct Monitor {
    engine: Engine,
    held: Held,
    record: Record,
}

/// A program that runs, and what belongs to it.
struct Program {
    process: Process,
    started_at: Timestamp,
    streams: Streams,
    networks: Networks,
    /// Keeps the namespace and the ports.
    endpoint: Option<Endpoint>,
}

impl Monitor {
    fn run(self, purpose: Purpose, client: Option<UnixStream>) -> ! {
        let mut clients = Clients::default();
        let began = become_monitor(&self.held, client.as_ref());
        if let Some(client) = client {
            // Whoever started it is attached to all, and says what it has no use for.
            let _ = clients.add(client, clients::ALL);
        }
        let program = began.and_then(|signals| {
            let program = match purpose {
                Purpose::Start => bring_up::start(&self).map(Some),
                Purpose::Adopt(running) => bring_up::adopt(&self, running),
            };
            program.map(|program| (program, signals))
        });
        match program {
            Ok((Some(program), signals)) => self.attend(program, &signals, clients),
            Ok((None, _)) => {}
            Err(error) => {
                let failure = Failure { code: error.exit_code(), message: error.to_string() };
                self.give_up(&failure, clients);
            }
        }
        exit(0)
    }

    fn attend(&self, program: Program, signals: &OwnedFd, mut clients: Clients) {
        let warnings = program.endpoint.as_ref().map_or(&[][..], |endpoint| &endpoint.warnings);
        clients.started(warnings);
        let past = watch::watch(self, program, signals, &mut clients);
        self.finish(past, clients);
    }

    /// What is done once while nobody waits: whoever died unseen is dealt with, and memory is given back.
    fn settle(&self) {
        let _ = self.engine.collect();
        (self.engine.idle)();
        // What could not be given back is only memory.
        let _ = memory::give_back();
    }
}

/// Lets go of all that was the command's, and gives the descriptor by which signals come.
fn become_monitor(held: &Held, client: Option<&UnixStream>) -> Result<OwnedFd, ContainerError> {
    let _ = setsid();
    let nothing = null().doing(|| "open /dev/null")?;
    dup2_stdin(&nothing)
        .and_then(|()| dup2_stdout(&nothing))
        .and_then(|()| dup2_stderr(&nothing))
        .doing(|| "let go of the streams of the command")?;
    drop(nothing);
    let kept = [held.descriptor(), client.map_or(-1, |client| client.as_raw_fd())];
    task::close_all_but(&kept).doing(|| "let go of the files of the command")?;
    chdir("/").doing(|| "let go of the folder of the command")?;
    umask(rustix::fs::Mode::from_raw_mode(0o022));
    // Where a container shares the host's processes, they come here when their parents end.
    set_child_subreaper(Some(rustix::process::getpid()))
        .doing(|| "become the parent of orphans")?;
    let _ = rustix::thread::set_name(c"berth-monitor");
    signals::divert().doing(|| "wait for signals")
}
