//! `logs`.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::{Attributes, LogQuery, Stream, parse_time};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::arguments::LogsArguments;
use super::engine;
use crate::engine::say;

pub(super) fn logs(arguments: &LogsArguments) -> Result<ExitCode> {
    let query = LogQuery {
        follow: arguments.follow,
        // As docker: what is no number is all.
        tail: arguments.tail.parse().ok(),
        since: time(arguments.since.as_deref())?,
        until: time(arguments.until.as_deref())?,
    };
    let mut output = BufWriter::new(io::stdout().lock());
    let mut errors = io::stderr().lock();
    let follow = arguments.follow;
    let shown = engine()?.logs(&arguments.container, &query, &mut |entry| {
        let time = match arguments.timestamps {
            true => format!("{:.9} ", entry.time),
            false => String::new(),
        };
        let details = if arguments.details { details(&entry.attributes) } else { String::new() };
        match entry.stream {
            Stream::Output => {
                write!(output, "{time}{details}{}", entry.text)?;
                if follow { output.flush() } else { Ok(()) }
            }
            Stream::Errors => {
                // In the order in which it was said, where both are one.
                output.flush()?;
                write!(errors, "{time}{details}{}", entry.text)
            }
        }
    });
    match shown {
        Err(error) if is_broken_pipe(&error) => say::end(),
        other => other?,
    }
    match output.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => say::end(),
        other => other?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is written otherwise in a detail.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a line says of its container, in docker's form: what is between the pairs is not in them.
fn details(attributes: &Attributes) -> String {
    let escape = |text| utf8_percent_encode(text, RESERVED);
    let pairs: Vec<String> = attributes
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    format!("{} ", pairs.join(","))
}

/// As docker: an empty one is none.
fn time(text: Option<&str>) -> Result<Option<Timestamp>> {
    Ok(text.filter(|text| !text.is_empty()).map(parse_time).transpose()?)
}

fn is_broken_pipe(error: &berth_runner::containers::ContainerError) -> bool {
    use berth_runner::containers::ContainerError::System;
    matches!(error, System { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
