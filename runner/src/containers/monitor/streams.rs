//! What a program reads and writes, from the monitor's side: pipes, or a terminal.
//!
//! The pipes have names, and the program has those it writes to open for reading, too. So nothing it writes
//! is refused when the monitor is killed, and the next monitor finds them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{CWD, Mode, OFlags, fcntl_getfl, fcntl_setfl, mkfifoat, open};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::logs::Stream;
use crate::containers::runtime::{Streams as Given, null};

/// Input that the program has not read yet; with more of it nobody is listened to.
const BACKLOG: usize = 64 * 1024;
const OUTPUT: &str = "stdout";
const ERRORS: &str = "stderr";

/// The monitor's ends.
#[derive(Debug)]
pub(super) struct Streams {
    output: Option<File>,
    errors: Option<File>,
    /// Of a terminal the same as `output`.
    input: Option<File>,
    is_terminal: bool,
    pending: Vec<u8>,
    input_ends: bool,
}

impl Streams {
    /// Makes pipes in the folder of what runs, and gives the program's ends besides. Without `with_input` the
    /// program reads nothing.
    pub(super) fn pipes(run: &Path, with_input: bool) -> Result<(Self, Given), ContainerError> {
        let make = || -> io::Result<(Self, Given)> {
            let (output, theirs_output) = outgoing(&run.join(OUTPUT))?;
            let (errors, theirs_errors) = outgoing(&run.join(ERRORS))?;
            let (input, theirs_input) = match with_input {
                true => {
                    let (input, theirs) = incoming()?;
                    (Some(input), theirs)
                }
                false => (None, null()?.into()),
            };
            let ours = Self {
                output: Some(output),
                errors: Some(errors),
                input,
                is_terminal: false,
                pending: Vec::new(),
                input_ends: false,
            };
            let theirs =
                Given::Pipes { input: theirs_input, output: theirs_output, errors: theirs_errors };
            Ok((ours, theirs))
        };
        make().doing(|| "make the pipes of the program")
    }

    /// Takes up the pipes of a program that has them already, and one to write to if it reads anything.
    pub(super) fn again(run: &Path, reader: Option<i32>) -> Self {
        let open =
            |name, flags| open(run.join(name), flags | FLAGS, Mode::empty()).ok().map(File::from);
        Self {
            output: open(OUTPUT, OFlags::RDONLY),
            errors: open(ERRORS, OFlags::RDONLY),
            input: reader.and_then(incoming_of),
            is_terminal: false,
            pending: Vec::new(),
            input_ends: false,
        }
    }

    /// Those of a program whose terminal went with its monitor.
    pub(super) fn none() -> Self {
        Self {
            output: None,
            errors: None,
            input: None,
            is_terminal: true,
            pending: Vec::new(),
            input_ends: true,
        }
    }

    /// Those of a program on a terminal.
    pub(super) fn terminal(outer: OwnedFd) -> Result<Self, ContainerError> {
        let flags = fcntl_getfl(&outer).doing(|| "look at the terminal")?;
        fcntl_setfl(&outer, flags | OFlags::NONBLOCK).doing(|| "prepare the terminal")?;
        let outer = File::from(outer);
        let input = outer.try_clone().doing(|| "share the terminal")?;
        Ok(Self {
            output: Some(outer),
            errors: None,
            input: Some(input),
            is_terminal: true,
            pending: Vec::new(),
            input_ends: false,
        })
    }

    /// Adds what to wait for: always three.
    pub(super) fn poll<'fds>(
        &'fds self,
        fds: &mut Vec<PollFd<'fds>>,
        read: bool,
        none: &'fds OwnedFd,
    ) {
        let wanted = if read { PollFlags::IN } else { PollFlags::empty() };
        for file in [&self.output, &self.errors] {
            match file {
                Some(file) if read => fds.push(PollFd::new(file, wanted)),
                _ => fds.push(PollFd::new(none, PollFlags::empty())),
            }
        }
        match &self.input {
            Some(file) if !self.pending.is_empty() => fds.push(PollFd::new(file, PollFlags::OUT)),
            _ => fds.push(PollFd::new(none, PollFlags::empty())),
        }
    }

    /// Whether more input may come.
    pub(super) fn has_room(&self) -> bool {
        self.pending.len() < BACKLOG
    }

    /// Reads what is there of a stream, once, and says whether there may be more.
    pub(super) fn read(&mut self, stream: Stream, handle: &mut dyn FnMut(Stream, &[u8])) -> bool {
        let place = match stream {
            Stream::Output => &mut self.output,
            Stream::Errors => &mut self.errors,
        };
        let Some(file) = place else { return false };
        let mut bytes = [0; 16 * 1024];
        match file.read(&mut bytes) {
            Ok(length) if length > 0 => {
                handle(stream, &bytes[..length]);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            // All that could write have closed it; a terminal says so by an error.
            Ok(_) | Err(_) => *place = None,
        }
        false
    }

    pub(super) fn type_in(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.input_ends {
            self.pending.extend(bytes);
            self.write();
        }
    }

    /// Closes the input once all of it is read. That of a terminal never ends.
    pub(super) fn end_input(&mut self) {
        if !self.is_terminal {
            self.input_ends = true;
            self.write();
        }
    }

    /// Writes what the program has room for.
    pub(super) fn write(&mut self) {
        let Some(file) = &mut self.input else { return };
        while !self.pending.is_empty() {
            match file.write(&self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.pending.clear();
                    self.input_ends = true;
                }
            }
        }
        self.pending = Vec::new();
        if self.input_ends {
            self.input = None;
        }
    }

    pub(super) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        if let Some(terminal) = self.output.as_ref().filter(|_| self.is_terminal) {
            // One that is gone needs no size.
            let _ = tcsetwinsize(terminal, size);
        }
    }
}

const FLAGS: OFlags = OFlags::NONBLOCK.union(OFlags::CLOEXEC);

/// A pipe that the program writes to: our end, its end.
fn outgoing(path: &Path) -> io::Result<(File, OwnedFd)> {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR)?;
    let ours = open(path, OFlags::RDONLY | FLAGS, Mode::empty())?;
    let theirs = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok((ours.into(), theirs))
}

/// A pipe that the program reads: our end, its end. It has no name: who opens `/dev/stdin` would wait for a writer after
/// the last one is gone.
fn incoming() -> io::Result<(File, OwnedFd)> {
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
    let flags = fcntl_getfl(&ours)?;
    fcntl_setfl(&ours, flags | OFlags::NONBLOCK)?;
    Ok((ours.into(), theirs))
}

/// The same of a program that runs, which has it as its standard input.
fn incoming_of(program: i32) -> Option<File> {
    let path = format!("/proc/{program}/fd/0");
    // Whatever else it reads by now is not ours to write to.
    let is_pipe = fs::metadata(&path).is_ok_and(|found| found.file_type().is_fifo());
    is_pipe
        .then(|| open(path, OFlags::WRONLY | FLAGS, Mode::empty()).ok())
        .flatten()
        .map(File::from)
}
