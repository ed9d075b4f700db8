//! What a monitor does all day.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::umask;

use super::clients::{Clients, Request};
use super::{Monitor, Program};
use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::logs::{LogOptions, LogWriter, Stream, attributes};
use crate::containers::process::{Outcome, path_in};
use crate::containers::record::Ended;
use crate::network::{Endpoint, Networks, Relay};
use crate::oci::kernel::signals;

/// How long a program must have run before the monitor settles: one that ends at once is not held up.
const SETTLING: Duration = Duration::from_millis(20);

/// The name of the socket.
pub(in crate::containers) const SOCKET: &str = "attach";

/// A program that has ended, and what is still to be given back.
pub(super) struct Past {
    pub(super) ended: Ended,
    /// Whether [`Monitor::settle`] was for another time.
    pub(super) is_unsettled: bool,
    pub(super) networks: Networks,
    pub(super) endpoint: Option<Endpoint>,
}

/// Passes on what is written and read until the program has ended.
pub(super) fn watch(
    monitor: &Monitor,
    program: Program,
    signals: &OwnedFd,
    clients: &mut Clients,
) -> Past {
    let Program { mut process, started_at, mut streams, networks, endpoint } = program;
    let options = LogOptions::new(&monitor.record.host_config.log_config).unwrap_or_default();
    let folder = monitor.engine.store.data(&monitor.held.id).join("log");
    // Both were looked at when it was created.
    let attributes = attributes(&monitor.record).unwrap_or_default();
    let mut log = LogWriter::new(folder, options, attributes);
    let listener = listen(monitor).ok();
    let mut relay = endpoint.as_ref().map(Relay::new).unwrap_or_default();
    let (begun, mut is_unsettled) = (Instant::now(), true);
    loop {
        if is_unsettled && begun.elapsed() >= SETTLING {
            is_unsettled = false;
            monitor.settle();
        }
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(SETTLING.subsec_nanos()) };
        let mut fds =
            vec![PollFd::new(&process.pidfd, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        match &listener {
            Some(listener) => fds.push(PollFd::new(listener, PollFlags::IN)),
            None => fds.push(PollFd::new(signals, PollFlags::empty())),
        }
        streams.poll(&mut fds, !clients.are_behind(), signals);
        clients.poll(&mut fds, streams.has_room());
        let relayed = fds.len();
        relay.poll(&mut fds);
        if let Err(error) = poll(&mut fds, is_unsettled.then_some(&patience))
            && error != rustix::io::Errno::INTR
        {
            break;
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        let is_ready = |place: usize| !ready[place].is_empty();
        drop(fds);
        let mut handle = |stream, bytes: &[u8]| {
            log.write(stream, bytes);
            clients.show(stream, bytes);
        };
        for (place, stream) in [(3, Stream::Output), (4, Stream::Errors)] {
            if is_ready(place) {
                streams.read(stream, &mut handle);
            }
        }
        if is_ready(5) {
            streams.write();
        }
        relay.serve(&ready[relayed..]);
        for request in clients.serve(&ready[6..relayed]) {
            match request {
                Request::Input(bytes) => streams.type_in(&bytes),
                Request::InputEnds if monitor.record.config.stdin_once => streams.end_input(),
                Request::InputEnds => {}
                Request::Resize { rows, columns } => streams.resize(rows, columns),
                Request::Signal(number) => {
                    if let Some(signal) = signals::from_number(number) {
                        // One that has ended needs none.
                        let _ = process.signal(signal);
                    }
                }
            }
        }
        if is_ready(2)
            && let Some(Ok((stream, _))) = listener.as_ref().map(UnixListener::accept)
        {
            // It says what it wants; whoever is one too many is let go.
            let _ = clients.add(stream, Default::default());
        }
        if is_ready(1) {
            while signals::next(signals).is_some() {}
            process.reap();
        }
        if is_ready(0) {
            break;
        }
    }
    let Outcome { code, is_known } = process.outcome();
    let mut handle = |stream, bytes: &[u8]| {
        log.write(stream, bytes);
        clients.show(stream, bytes);
    };
    for stream in [Stream::Output, Stream::Errors] {
        while streams.read(stream, &mut handle) {}
    }
    log.end();
    relay.finish();
    let error = if is_known { String::new() } else { UNKNOWN.to_owned() };
    let ended = Ended {
        started_at: Some(started_at),
        finished_at: Some(jiff::Timestamp::now()),
        exit_code: code,
        oom_killed: monitor.memory_kills() > 0,
        error,
    };
    Past { ended, is_unsettled, networks, endpoint }
}

const UNKNOWN: &str =
    "the monitor of the container was killed, and the kernel does not know the exit code any more";

/// The socket of those who attach later; it lies in a folder that nobody else may enter.
fn listen(monitor: &Monitor) -> Result<UnixListener, ContainerError> {
    let run = monitor.engine.store.run(&monitor.held.id);
    let folder = open(&run, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let folder = folder.doing(|| format!("open {}", run.display()))?;
    let before = umask(Mode::from_raw_mode(0o177));
    // The one of a monitor that was killed.
    let _ = std::fs::remove_file(path_in(&folder, SOCKET));
    let listener = UnixListener::bind(path_in(&folder, SOCKET));
    umask(before);
    let listener = listener.doing(|| "make the socket of the monitor")?;
    listener.set_nonblocking(true).doing(|| "make the socket of the monitor")?;
    Ok(listener)
}
