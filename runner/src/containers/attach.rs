//! The other end of a monitor: somebody at a terminal, or in a pipe.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::error::{ContainerError, Doing as _};
use super::keys::DetachKeys;
use super::logs::Stream;
use super::wire::{Failure, Incoming, Order, Report, Wanted};
use crate::oci::kernel::signals;

/// A connection to the monitor of a container.
#[derive(Debug)]
pub struct Attachment {
    stream: UnixStream,
    incoming: Incoming,
    warnings: Vec<String>,
}

/// How somebody takes part.
#[derive(Clone, Debug)]
pub struct Interaction {
    /// Whether the standard input is the program's.
    pub input: bool,
    /// Whether what it writes to its standard output is shown.
    pub output: bool,
    /// Whether what it writes to its standard error is shown.
    pub errors: bool,
    /// Whether the program has a terminal.
    pub terminal: bool,
    /// What is typed to let go of it.
    pub detach_keys: DetachKeys,
    /// Whether signals are the program's.
    pub forward_signals: bool,
    /// Whether what is on the program's terminal was shown before somebody came, and is to be shown again.
    pub redraw: bool,
}

/// How an interaction ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The program has ended, with this exit code.
    Exited(u8),
    /// Somebody has let go of it.
    Detached,
    /// The monitor was killed.
    Lost,
}

/// What a report means for the one who waits.
enum News {
    None,
    Started,
    Failed(Failure),
    Exited(u8),
}

impl Attachment {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, incoming: Incoming::default(), warnings: Vec::new() }
    }

    /// Waits until the program has started, and gives what people should know although it has. It is not attached
    /// to any longer then.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Start`] with the reason why it could not.
    pub fn started(mut self) -> Result<Vec<String>, ContainerError> {
        self.say(&Order::Attach(Wanted::default()))?;
        loop {
            match self.hear(&mut |_, _| Ok(()))? {
                Some(News::Started | News::Exited(_)) => return Ok(self.warnings),
                Some(News::Failed(failure)) => return Err(failed(failure)),
                Some(News::None) => {}
                None => return Err(lost()),
            }
        }
    }

    /// Waits until the program has ended, and gives its exit code; `None` when the monitor was killed.
    pub(super) fn ended(mut self) -> Result<Option<u8>, ContainerError> {
        self.say(&Order::Attach(Wanted::default()))?;
        loop {
            match self.hear(&mut |_, _| Ok(()))? {
                Some(News::Exited(code)) => return Ok(Some(code)),
                Some(News::Failed(failure)) => return Err(failed(failure)),
                Some(News::Started | News::None) => {}
                None => return Ok(None),
            }
        }
    }

    /// Has the standard streams and the signals of this process be those of the program, until it ends or somebody
    /// lets go.
    ///
    /// # Errors
    ///
    /// [`ContainerError::Start`] when the program could not be started.
    pub fn interact(mut self, mut how: Interaction) -> Result<Ending, ContainerError> {
        let signals = signals::divert().doing(|| "wait for signals")?;
        let wanted = Wanted { input: how.input, output: how.output, errors: how.errors };
        self.say(&Order::Attach(wanted))?;
        let terminal = how.terminal.then(|| RawTerminal::new(how.input));
        if how.terminal {
            self.tell_size(how.redraw)?;
        }
        let ending = self.stay(&mut how, &signals);
        drop(terminal);
        ending
    }

    fn stay(&mut self, how: &mut Interaction, signals: &OwnedFd) -> Result<Ending, ContainerError> {
        let mut input_is_open = how.input;
        loop {
            let mut waiting =
                vec![PollFd::new(&self.stream, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            if input_is_open {
                waiting.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
            }
            match poll(&mut waiting, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other.doing(|| "wait for the container")?,
            };
            let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(waiting);
            if ready[1] {
                while let Some(signal) = signals::next(signals) {
                    self.pass_on(signal, how)?;
                }
            }
            if ready.get(2) == Some(&true) {
                match self.type_on(how)? {
                    Typed::More => {}
                    Typed::End => input_is_open = false,
                    Typed::Detach => return Ok(Ending::Detached),
                }
            }
            if ready[0] {
                // All is heard that was said before the monitor knew what is wanted.
                let (output, errors) = (how.output, how.errors);
                let news = self.hear(&mut |stream, bytes| match stream {
                    Stream::Output if !output => Ok(()),
                    Stream::Errors if !errors => Ok(()),
                    _ => show(stream, bytes),
                })?;
                for warning in self.warnings.drain(..) {
                    let text = format!("WARNING: {warning}\n");
                    // Nobody who reads it is no reason to leave the program.
                    let _ = show(Stream::Errors, text.as_bytes());
                }
                match news {
                    Some(News::Exited(code)) => return Ok(Ending::Exited(code)),
                    Some(News::Failed(failure)) => return Err(failed(failure)),
                    Some(News::Started | News::None) => {}
                    None => return Ok(Ending::Lost),
                }
            }
        }
    }

    fn pass_on(&mut self, signal: Signal, how: &Interaction) -> Result<(), ContainerError> {
        match signal {
            Signal::CHILD | Signal::URG | Signal::PIPE => Ok(()),
            Signal::WINCH if how.terminal => self.tell_size(false),
            signal if how.forward_signals => self.say(&Order::Signal(signal.as_raw())),
            // Not to be passed on is to be this process's own.
            Signal::INT | Signal::TERM | Signal::HUP | Signal::QUIT => {
                Err(ContainerError::Conflict(format!("interrupted by signal {}", signal.as_raw())))
            }
            _ => Ok(()),
        }
    }

    fn type_on(&mut self, how: &mut Interaction) -> Result<Typed, ContainerError> {
        let mut bytes = [0; 8192];
        match rustix::io::read(stdin(), &mut bytes) {
            Ok(0) | Err(_) => {
                self.say(&Order::InputEnds)?;
                Ok(Typed::End)
            }
            Ok(length) if how.terminal => {
                let (typed, detach) = how.detach_keys.pass(&bytes[..length]);
                if !typed.is_empty() {
                    self.say(&Order::Input(&typed))?;
                }
                Ok(if detach { Typed::Detach } else { Typed::More })
            }
            Ok(length) => {
                self.say(&Order::Input(&bytes[..length]))?;
                Ok(Typed::More)
            }
        }
    }

    /// Gives the program's terminal the size of ours. With `anew` it has another one first: by that a program knows
    /// that it has to draw everything.
    fn tell_size(&mut self, anew: bool) -> Result<(), ContainerError> {
        // Where there is no terminal here, that of the program keeps its size.
        let Ok(size) = tcgetwinsize(stdin()).or_else(|_| tcgetwinsize(stdout())) else {
            return Ok(());
        };
        let (rows, columns) = (size.ws_row, size.ws_col);
        if anew {
            let (rows, columns) = (rows.saturating_add(1), columns.saturating_add(1));
            self.say(&Order::Resize { rows, columns })?;
        }
        self.say(&Order::Resize { rows, columns })
    }

    /// Says something. A monitor that has ended has said before how its program did, and that is still to be
    /// heard.
    fn say(&mut self, order: &Order<'_>) -> Result<(), ContainerError> {
        let mut bytes = Vec::new();
        order.write(&mut bytes);
        match self.stream.write_all(&bytes) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(())
            }
            other => other.doing(|| "talk to the monitor of the container"),
        }
    }

    /// Hears what there is, once; `None` when nobody will say anything more.
    fn hear(
        &mut self,
        show: &mut dyn FnMut(Stream, &[u8]) -> io::Result<()>,
    ) -> Result<Option<News>, ContainerError> {
        let mut bytes = [0; 16 * 1024];
        let length = match self.stream.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Some(News::None));
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            other => other.doing(|| "listen to the monitor of the container")?,
        };
        if length == 0 {
            return Ok(None);
        }
        self.incoming.extend(&bytes[..length]);
        let mut news = News::None;
        let mut shown = Ok(());
        let warnings = &mut self.warnings;
        let heard = self.incoming.reports(|report| match report {
            Report::Warning(text) => warnings.push(text),
            Report::Output(stream, bytes) if shown.is_ok() => shown = show(stream, bytes),
            Report::Output(..) => {}
            // The last word counts.
            Report::Started => news = News::Started,
            Report::Failed(failure) => news = News::Failed(failure),
            Report::Exited(code) => news = News::Exited(code),
        });
        match shown {
            // Nobody reads it any more: the program need not know.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other.doing(|| "show what the container says")?,
        }
        heard.map_err(|_| {
            ContainerError::Conflict("the monitor of the container speaks nonsense".to_owned())
        })?;
        Ok(Some(news))
    }
}

enum Typed {
    More,
    End,
    Detach,
}

fn failed(failure: Failure) -> ContainerError {
    ContainerError::Start { code: failure.code, message: failure.message }
}

fn lost() -> ContainerError {
    ContainerError::Conflict("the monitor of the container was killed".to_owned())
}

/// Writes to the stream of this process.
fn show(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    let to = match stream {
        Stream::Output => stdout(),
        Stream::Errors => stderr(),
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(length) => rest = &rest[length..],
            Err(rustix::io::Errno::INTR) => {}
            // Somebody else has made it so.
            Err(rustix::io::Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The terminal of this process, which is raw until this is dropped.
struct RawTerminal {
    fd: BorrowedFd<'static>,
    before: Option<Termios>,
}

impl RawTerminal {
    fn new(input: bool) -> Self {
        let fd = stdin();
        // It is a terminal only when its settings can be read.
        let before = tcgetattr(fd).ok().filter(|_| input);
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(fd, OptionalActions::Now, &raw);
        }
        Self { fd, before }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(self.fd.as_fd(), OptionalActions::Now, before);
        }
    }
}
