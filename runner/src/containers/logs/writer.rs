//! Writing a log.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{Attributes, Entry, LogOptions, Stream, file, numbers};
use crate::containers::error::{ContainerError, Doing as _};
use crate::containers::store::private;

/// The longest piece of a line in one entry.
const LONGEST: usize = 16 * 1024;

/// The log of a container that runs. There is no file before there is a line.
#[derive(Debug)]
pub(in crate::containers) struct LogWriter {
    folder: PathBuf,
    options: LogOptions,
    /// What each line says of the container.
    attributes: Attributes,
    open: Option<Open>,
    /// Lines that are not at their end yet, of the output and of the errors.
    begun: [Vec<u8>; 2],
    encoded: Vec<u8>,
    /// Entries that could not be written, and why not, since one was written the last time.
    lost: Option<(u64, String)>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    size: u64,
}

impl LogWriter {
    pub(in crate::containers) fn new(
        folder: PathBuf,
        options: LogOptions,
        attributes: Attributes,
    ) -> Self {
        Self {
            folder,
            options,
            attributes,
            open: None,
            begun: Default::default(),
            encoded: Vec::new(),
            lost: None,
        }
    }

    /// Writes what the program wrote, up to the end of its last line.
    ///
    /// What cannot be written is lost: a full disk does not hold up the program. As soon as there is room again,
    /// the log tells how much it was.
    pub(in crate::containers) fn write(&mut self, stream: Stream, mut bytes: &[u8]) {
        if !self.options.keep {
            return;
        }
        let time = Timestamp::now();
        while !bytes.is_empty() {
            let room = LONGEST - self.begun[place(stream)].len();
            let piece = &bytes[..bytes.len().min(room)];
            let end = piece.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
            let (piece, after) = bytes.split_at(end.unwrap_or(piece.len()));
            let line = &mut self.begun[place(stream)];
            line.extend(piece);
            bytes = after;
            if end.is_some() || line.len() == LONGEST {
                self.finish(stream, time);
            }
        }
    }

    /// Writes what has no end of line.
    pub(in crate::containers) fn end(&mut self) {
        for stream in [Stream::Output, Stream::Errors] {
            if !self.begun[place(stream)].is_empty() {
                self.finish(stream, Timestamp::now());
            }
        }
    }

    fn finish(&mut self, stream: Stream, time: Timestamp) {
        let mut line = std::mem::take(&mut self.begun[place(stream)]);
        let written = self
            .tell_of_lost(time)
            .and_then(|()| self.append(&String::from_utf8_lossy(&line), stream, time));
        if let Err(error) = written {
            let count = self.lost.take().map_or(0, |(count, _)| count);
            self.lost = Some((count + 1, error.to_string()));
        }
        line.clear();
        self.begun[place(stream)] = line;
    }

    fn tell_of_lost(&mut self, time: Timestamp) -> Result<(), ContainerError> {
        let Some((count, reason)) = &self.lost else { return Ok(()) };
        let text = format!("berth: {count} lines are missing here: {reason}\n");
        self.append(&text, Stream::Errors, time)?;
        self.lost = None;
        Ok(())
    }

    fn append(
        &mut self,
        text: &str,
        stream: Stream,
        time: Timestamp,
    ) -> Result<(), ContainerError> {
        self.encoded.clear();
        let attributes = Cow::Borrowed(&self.attributes);
        Entry { text: text.into(), stream, attributes, time }.write(&mut self.encoded);
        let length = self.encoded.len() as u64;
        let is_full = |open: &Open| {
            self.options.max_size.is_some_and(|max| open.size > 0 && open.size + length > max)
        };
        let mut open = match self.open.take() {
            Some(open) if is_full(&open) => self.next(open.number)?,
            Some(open) => open,
            None => self.first()?,
        };
        let written = append_whole(&mut open, &self.encoded);
        self.open = Some(open);
        written.doing(|| "write the log")
    }

    /// The file that was written to when the container ran the last time.
    fn first(&self) -> Result<Open, ContainerError> {
        let number = numbers(&self.folder)?.last().copied().unwrap_or(1);
        private(true).create(&self.folder).doing(|| "make the folder of the log")?;
        self.open(number)
    }

    fn next(&self, full: u64) -> Result<Open, ContainerError> {
        let number = full + 1;
        // The oldest go first, so that there is room.
        for old in numbers(&self.folder)? {
            if old + self.options.max_file <= number {
                let _ = fs::remove_file(file(&self.folder, old));
            }
        }
        self.open(number)
    }

    fn open(&self, number: u64) -> Result<Open, ContainerError> {
        let path = file(&self.folder, number);
        let opened = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        let file = opened.doing(|| format!("open the log {}", path.display()))?;
        let size = file.metadata().doing(|| "look at the log")?.len();
        Ok(Open { number, file, size })
    }
}

/// Writes all of a line or nothing.
fn append_whole(open: &mut Open, line: &[u8]) -> io::Result<()> {
    match open.file.write_all(line) {
        Ok(()) => {
            open.size += line.len() as u64;
            Ok(())
        }
        Err(error) => {
            // A half line would spoil the next one.
            let _ = open.file.set_len(open.size);
            Err(error)
        }
    }
}

fn place(stream: Stream) -> usize {
    match stream {
        Stream::Output => 0,
        Stream::Errors => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(max_size: u64, max_file: u64) -> (tempfile::TempDir, LogWriter) {
        let folder = tempfile::tempdir().unwrap();
        let options = LogOptions { keep: true, max_size: Some(max_size), max_file };
        let writer = LogWriter::new(folder.path().join("log"), options, Attributes::new());
        (folder, writer)
    }

    fn lines(writer: &LogWriter) -> Vec<(Stream, String)> {
        let mut lines = Vec::new();
        for number in numbers(&writer.folder).unwrap() {
            for line in
                fs::read(file(&writer.folder, number)).unwrap().split_inclusive(|b| *b == b'\n')
            {
                let entry = Entry::read(line).unwrap();
                lines.push((entry.stream, entry.text.into_owned()));
            }
        }
        lines
    }

    #[test]
    fn lines_are_whole_whenever_their_parts_come() {
        let (_folder, mut log) = writer(1_000_000, 3);
        log.write(Stream::Output, b"one\ntw");
        log.write(Stream::Errors, b"other\n");
        log.write(Stream::Output, b"o\n\nthree");
        log.end();
        let said = [
            (Stream::Output, "one\n"),
            (Stream::Errors, "other\n"),
            (Stream::Output, "two\n"),
            (Stream::Output, "\n"),
            (Stream::Output, "three"),
        ];
        assert_eq!(lines(&log), said.map(|(stream, text)| (stream, text.to_owned())));
    }

    #[test]
    fn a_long_line_is_cut_and_nothing_of_it_is_missing() {
        let (_folder, mut log) = writer(1_000_000, 3);
        let long = "x".repeat(40_000) + "\n";
        log.write(Stream::Output, long.as_bytes());
        let said = lines(&log);
        assert_eq!(said.len(), 3);
        assert_eq!(said.into_iter().map(|(_, text)| text).collect::<String>(), long);
    }

    #[test]
    fn no_file_is_there_before_a_line_is() {
        let (_folder, mut log) = writer(1000, 3);
        log.end();
        assert!(!log.folder.exists());
    }

    #[test]
    fn full_files_are_followed_by_the_next_and_the_oldest_goes() {
        let (_folder, mut log) = writer(500, 3);
        for number in 0..100 {
            log.write(Stream::Output, format!("line {number}\n").as_bytes());
        }
        let files = numbers(&log.folder).unwrap();
        assert_eq!(files.len(), 3);
        assert!(files[0] > 10);
        for number in files {
            assert!(fs::metadata(file(&log.folder, number)).unwrap().len() <= 500);
        }
        assert_eq!(lines(&log).last().unwrap().1, "line 99\n");
    }

    #[test]
    fn a_new_writer_goes_on_where_the_last_one_was() {
        let (_folder, mut log) = writer(500, 3);
        for number in 0..20 {
            log.write(Stream::Output, format!("line {number}\n").as_bytes());
        }
        let before = numbers(&log.folder).unwrap();
        let mut log = LogWriter::new(log.folder, log.options, Attributes::new());
        log.write(Stream::Output, b"again\n");
        let after = numbers(&log.folder).unwrap();
        assert!(after.last().unwrap() - before.last().unwrap() <= 1);
        assert_eq!(lines(&log).last().unwrap().1, "again\n");
    }

    #[test]
    fn what_could_not_be_written_is_counted() {
        let (folder, mut log) = writer(1_000_000, 3);
        // A file where the folder should be.
        fs::write(folder.path().join("log"), "").unwrap();
        log.write(Stream::Output, b"one\ntwo\n");
        fs::remove_file(folder.path().join("log")).unwrap();
        log.write(Stream::Output, b"three\n");
        let said = lines(&log);
        assert!(said[0].1.starts_with("berth: 2 lines are missing here: "), "{said:?}");
        assert_eq!(said[1].1, "three\n");
    }
}
