//! One line of a log.

use std::borrow::Cow;
use std::io::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attributes::Attributes;

/// Where a program wrote it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Stream {
    /// The standard output, and all that is written to a terminal.
    #[serde(rename = "stdout")]
    Output,
    /// The standard error.
    #[serde(rename = "stderr")]
    Errors,
}

/// One line, or a part of one that is very long: then there is no end of line at its end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry<'text> {
    /// What was written. What is not UTF-8 in it is replaced.
    #[serde(rename = "log", borrow)]
    pub text: Cow<'text, str>,
    /// Where.
    pub stream: Stream,
    /// What it says of its container.
    #[serde(rename = "attrs", default, skip_serializing_if = "is_nothing")]
    pub attributes: Cow<'text, Attributes>,
    /// When it was read.
    pub time: Timestamp,
}

fn is_nothing(attributes: &Attributes) -> bool {
    attributes.is_empty()
}

impl Entry<'_> {
    /// Adds it to `to` as it stands in the file.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        // Neither a vector nor the members of an entry refuse anything.
        let _ = serde_json::to_writer(&mut *to, self);
        let _ = to.write_all(b"\n");
    }

    /// Reads one as it stands in the file; `None` for what a sudden end of the machine has left.
    pub(super) fn read(line: &[u8]) -> Option<Entry<'_>> {
        serde_json::from_slice(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_json_file() {
        let entry = Entry {
            text: "a \"b\"\n".into(),
            stream: Stream::Errors,
            attributes: Cow::default(),
            time: "2026-01-02T03:04:05.678901234Z".parse().unwrap(),
        };
        let mut line = Vec::new();
        entry.write(&mut line);
        assert_eq!(
            String::from_utf8(line.clone()).unwrap(),
            "{\"log\":\"a \\\"b\\\"\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.678901234Z\"}\n"
        );
        assert_eq!(Entry::read(&line), Some(entry));
        let attributes = Cow::Owned([("a".to_owned(), "1".to_owned())].into());
        let told = Entry { attributes, ..Entry::read(&line).unwrap() };
        let mut line = Vec::new();
        told.write(&mut line);
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.contains(",\"attrs\":{\"a\":\"1\"},\"time\":"), "{text}");
        assert_eq!(Entry::read(&line), Some(told));
        assert_eq!(Entry::read(b"{\"log\":\"half"), None);
    }
}
