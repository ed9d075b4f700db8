//! `events`.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::json;

use super::super::Result;
use super::super::container::{self, ContainerId, Process, Record, Status};
use super::super::error::{Doing as _, Error};
use super::{Context, print};

pub(super) fn events(
    context: &Context<'_>,
    id: &ContainerId,
    interval: &str,
    stats: bool,
) -> Result<()> {
    let (record, status) = container::look(context.root, id)?;
    if status == Status::Stopped {
        return Err(Error::NotRunning);
    }
    if stats {
        return print_statistics(&record);
    }
    let interval = duration(interval)?;
    let Some(identity) = &record.identity else { return Err(Error::NotRunning) };
    let Some(process) = Process::of(identity)? else { return Ok(()) };
    let mut kills = record.cgroup.memory_kills();
    loop {
        print_statistics(&record)?;
        let mut ended = [PollFd::new(&process.pidfd, PollFlags::IN)];
        let pause = Timespec::try_from(interval).ok();
        let is_over = poll(&mut ended, pause.as_ref()).doing(|| "wait for the container")? > 0;
        let before = std::mem::replace(&mut kills, record.cgroup.memory_kills());
        for _ in before..kills {
            print(&format!("{}\n", json!({"type": "oom", "id": record.id})))?;
        }
        if is_over {
            return Ok(());
        }
    }
}

fn print_statistics(record: &Record) -> Result<()> {
    let event = json!({"type": "stats", "id": record.id, "data": record.cgroup.statistics()});
    print(&format!("{event}\n"))
}

/// Reads `5s`, `500ms` or `1m`.
fn duration(text: &str) -> Result<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok().filter(|&number| number > 0);
    match (number, unit) {
        (Some(number), Some(unit)) => Ok(Duration::from_millis(number.saturating_mul(unit))),
        _ => Err(Error::invalid(format!("--interval {text:?}: 5s or 500ms, for example"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_a_unit_and_are_not_nothing() {
        assert_eq!(duration("5s").unwrap(), Duration::from_secs(5));
        assert_eq!(duration("20ms").unwrap(), Duration::from_millis(20));
        for text in ["", "5", "0s", "s", "-1s", "1h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
