//! Reading a log, and following it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;

use super::{Entry, file, numbers};
use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::store::private;

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogQuery {
    /// Go on until the container ends.
    pub follow: bool,
    /// Only the last ones of those that are there already.
    pub tail: Option<usize>,
    /// None that are older.
    pub since: Option<Timestamp>,
    /// None that are younger.
    pub until: Option<Timestamp>,
}

impl LogQuery {
    fn wants(&self, entry: &Entry<'_>) -> bool {
        self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time <= until)
    }
}

/// What a follower waits for besides lines.
#[derive(Debug)]
pub(in crate::containers) enum Ending {
    /// There will be no more lines.
    Past,
    /// There will be none when this becomes readable: a descriptor of the process that writes.
    With(OwnedFd),
}

/// Gives each line that is wanted to `show`, the oldest first.
pub(in crate::containers) fn read(
    folder: &Path,
    query: &LogQuery,
    ending: Ending,
    show: &mut dyn FnMut(&Entry<'_>) -> io::Result<()>,
) -> Result<(), ContainerError> {
    let mut ending = if query.follow { ending } else { Ending::Past };
    let watch = match &ending {
        Ending::Past => None,
        Ending::With(_) => Some(watch(folder)?),
    };
    let mut log = Log { folder: folder.to_owned(), open: None, line: Vec::new() };
    let mut show = |line: &[u8]| match Entry::read(line) {
        Some(entry) if query.wants(&entry) => show(&entry).doing(|| "show the log"),
        _ => Ok(()),
    };
    match query.tail {
        None => log.advance(&mut show)?,
        Some(count) => {
            let mut last = VecDeque::new();
            log.advance(&mut |line| {
                if count == 0 || !Entry::read(line).is_some_and(|entry| query.wants(&entry)) {
                    return Ok(());
                }
                if last.len() == count {
                    last.pop_front();
                }
                last.push_back(line.to_vec());
                Ok(())
            })?;
            last.iter().try_for_each(|line| show(line))?;
        }
    }
    while let (Ending::With(writer), Some(watch)) = (&ending, &watch) {
        if wait(writer, watch)? {
            ending = Ending::Past;
        }
        log.advance(&mut show)?;
    }
    Ok(())
}

/// A place in a log.
struct Log {
    folder: PathBuf,
    open: Option<(u64, BufReader<File>)>,
    /// The beginning of a line whose end is not there yet.
    line: Vec<u8>,
}

impl Log {
    /// Gives each line to `show` from here to where the log ends now.
    fn advance(
        &mut self,
        show: &mut dyn FnMut(&[u8]) -> Result<(), ContainerError>,
    ) -> Result<(), ContainerError> {
        loop {
            let here = self.open.as_ref().map_or(0, |(number, _)| *number);
            // Looked up before the rest is read: after that nobody writes to this file any more.
            let next = numbers(&self.folder)?.into_iter().find(|number| *number > here);
            if let Some((_, file)) = &mut self.open {
                read_lines(file, &mut self.line, show)?;
            }
            let Some(next) = next else { return Ok(()) };
            match File::open(file(&self.folder, next)) {
                Ok(file) => self.open = Some((next, BufReader::new(file))),
                // It was the oldest until now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).doing(|| "open the log"),
            }
            self.line.clear();
        }
    }
}

fn read_lines(
    file: &mut BufReader<File>,
    line: &mut Vec<u8>,
    show: &mut dyn FnMut(&[u8]) -> Result<(), ContainerError>,
) -> Result<(), ContainerError> {
    loop {
        file.read_until(b'\n', line).doing(|| "read the log")?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        show(line)?;
        line.clear();
    }
}

fn watch(folder: &Path) -> Result<OwnedFd, ContainerError> {
    private(true).create(folder).doing(|| "make the folder of the log")?;
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let watch = inotify::init(flags).doing(|| "watch the log")?;
    let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
    inotify::add_watch(&watch, folder, events).doing(|| "watch the log")?;
    Ok(watch)
}

/// Waits for a change. `true` when the writer has ended.
fn wait(writer: &OwnedFd, watch: &OwnedFd) -> Result<bool, ContainerError> {
    let mut ready = [PollFd::new(writer, PollFlags::IN), PollFd::new(watch, PollFlags::IN)];
    match poll(&mut ready, None) {
        Err(rustix::io::Errno::INTR) => return Ok(false),
        other => other.doing(|| "wait for the log")?,
    };
    let has_ended = !ready[0].revents().is_empty();
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(watch, &mut space);
    // What they say is seen in the folder.
    while events.next().is_ok() {}
    Ok(has_ended)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use rustix::pipe::pipe;

    use super::super::{Attributes, LogOptions, LogWriter, Stream};
    use super::*;

    fn texts(folder: &Path, query: &LogQuery) -> Vec<String> {
        let mut said = Vec::new();
        read(folder, query, Ending::Past, &mut |entry| {
            said.push(entry.text.trim_end().to_owned());
            Ok(())
        })
        .unwrap();
        said
    }

    fn log(max_size: u64, max_file: u64) -> (tempfile::TempDir, LogWriter) {
        let folder = tempfile::tempdir().unwrap();
        let options = LogOptions { keep: true, max_size: Some(max_size), max_file };
        let log = LogWriter::new(folder.path().to_owned(), options, Attributes::new());
        (folder, log)
    }

    #[test]
    fn a_log_is_read_over_all_its_files_and_from_its_end() {
        let (folder, mut log) = log(400, 100);
        (0..50).for_each(|number| log.write(Stream::Output, format!("{number}\n").as_bytes()));
        let all: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        let query = LogQuery::default();
        assert_eq!(texts(folder.path(), &query), all);
        assert_eq!(texts(folder.path(), &LogQuery { tail: Some(7), ..query }), all[43..]);
        assert!(texts(folder.path(), &LogQuery { tail: Some(0), ..query }).is_empty());
        assert!(texts(&folder.path().join("none"), &query).is_empty());
    }

    #[test]
    fn times_bound_what_is_read() {
        let (folder, mut log) = log(1_000_000, 3);
        log.write(Stream::Output, b"early\n");
        let between = Timestamp::now();
        thread::sleep(std::time::Duration::from_millis(2));
        log.write(Stream::Output, b"late\n");
        let query = LogQuery::default();
        assert_eq!(texts(folder.path(), &LogQuery { since: Some(between), ..query }), ["late"]);
        assert_eq!(texts(folder.path(), &LogQuery { until: Some(between), ..query }), ["early"]);
    }

    #[test]
    fn whoever_follows_misses_nothing_and_reads_nothing_twice() {
        let (folder, mut log) = log(2_000, 1_000_000);
        log.write(Stream::Output, b"0\n");
        let (end, writer) = pipe().unwrap();
        let (tell, told) = mpsc::channel();
        let path = folder.path().to_owned();
        let follower = thread::spawn(move || {
            let query = LogQuery { follow: true, ..LogQuery::default() };
            let mut said = Vec::new();
            read(&path, &query, Ending::With(end), &mut |entry| {
                said.push(entry.text.trim_end().parse::<u32>().unwrap());
                let _ = tell.send(());
                Ok(())
            })
            .unwrap();
            said
        });
        told.recv().unwrap();
        for number in 1..5000 {
            log.write(Stream::Output, format!("{number}\n").as_bytes());
        }
        // What polls a pipe is told that its other end is closed.
        drop(writer);
        assert_eq!(follower.join().unwrap(), (0..5000).collect::<Vec<u32>>());
    }
}
