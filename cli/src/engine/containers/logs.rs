//! `logs`.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use berth_runner::containers::{LogQuery, Stream, parse_time};
use jiff::Timestamp;

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
        match entry.stream {
            Stream::Output => {
                write!(output, "{time}{}", entry.text)?;
                if follow { output.flush() } else { Ok(()) }
            }
            Stream::Errors => {
                // In the order in which it was said, where both are one.
                output.flush()?;
                write!(errors, "{time}{}", entry.text)
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

/// As docker: an empty one is none.
fn time(text: Option<&str>) -> Result<Option<Timestamp>> {
    Ok(text.filter(|text| !text.is_empty()).map(parse_time).transpose()?)
}

fn is_broken_pipe(error: &berth_runner::containers::ContainerError) -> bool {
    use berth_runner::containers::ContainerError::System;
    matches!(error, System { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
