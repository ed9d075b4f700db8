//! The processes of a container, as the host sees them and `ps` shows them.

use std::fs;

use super::engine::Engine;
use super::error::ContainerError;
use super::lifecycle::runtime;
use super::ps::{no_pid, ps};
use super::store::cgroup;

/// Ticks of the clock in a second, on every architecture of Linux that there is.
const TICKS: u64 = 100;

/// A table of processes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Processes {
    /// What the columns are called.
    pub titles: Vec<String>,
    /// A line for each process.
    pub rows: Vec<Vec<String>>,
}

/// A process.
struct Process {
    pid: i32,
    parent: i32,
    uid: u32,
    terminal: i32,
    name: String,
    state: char,
    /// In ticks.
    used: u64,
    started: u64,
    pages: u64,
    bytes: u64,
    command: String,
}

/// What can be asked of a process: the words of `ps -o`, and their titles.
const COLUMNS: [(&str, &str); 17] = [
    ("uid", "UID"),
    ("user", "USER"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("stime", "STIME"),
    ("start", "STARTED"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("cmd", "CMD"),
    ("args", "COMMAND"),
    ("command", "COMMAND"),
    ("comm", "COMMAND"),
    ("stat", "STAT"),
    ("state", "S"),
    ("rss", "RSS"),
    ("vsz", "VSZ"),
];

/// Those of `ps -ef`.
const FULL: [&str; 8] = ["uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];

impl Engine {
    /// The processes of a container that runs. `options` are those of `ps`, which is asked where it has to be.
    ///
    /// # Errors
    ///
    /// When it does not run, or `ps` does not know the options.
    pub fn top(&self, text: &str, options: &[String]) -> Result<Processes, ContainerError> {
        let columns = columns(options)?;
        let container = self.find(text)?;
        if !container.status.is_running() {
            let id = &container.record.id;
            return Err(ContainerError::Conflict(format!("container {id} is not running")));
        }
        let mut pids =
            cgroup(&container.record).and_then(|cgroup| cgroup.processes()).map_err(runtime)?;
        pids.sort_unstable();
        let Some(columns) = columns else { return ps(options, &pids) };
        let since = uptime();
        let rows = pids
            .into_iter()
            .filter_map(read)
            .map(|process| columns.iter().map(|(column, _)| process.show(column, since)).collect());
        Ok(Processes {
            rows: rows.collect(),
            titles: columns.iter().map(|(_, title)| (*title).to_owned()).collect(),
        })
    }
}

/// The columns that are asked for; `None` where only `ps` knows them.
fn columns(
    options: &[String],
) -> Result<Option<Vec<(&'static str, &'static str)>>, ContainerError> {
    let known = |name: &str| COLUMNS.iter().find(|(column, _)| *column == name).copied();
    let words: Vec<&str> = options.iter().map(String::as_str).collect();
    let list = match words.as_slice() {
        [] | ["-ef" | "-e" | "-f" | "ef"] => FULL.join(","),
        ["-o" | "-eo" | "o", lists @ ..] if !lists.is_empty() => lists.join(","),
        [list] if list.starts_with("-o") => list[2..].to_owned(),
        _ => return Ok(None),
    };
    let columns: Option<Vec<_>> =
        list.split(',').filter(|name| !name.is_empty()).map(known).collect();
    match columns {
        Some(columns) if !columns.iter().any(|(name, _)| *name == "pid") => Err(no_pid()),
        columns => Ok(columns),
    }
}

/// One process; `None` when it is gone.
fn read(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let number =
        |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = words.split(|&byte| byte == 0).filter(|word| !word.is_empty()).collect();
    let command = match words.is_empty() {
        true => format!("[{name}]"),
        false => String::from_utf8_lossy(&words.join(&b' ')).into_owned(),
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        uid: uid.unwrap_or(0),
        terminal: fields.get(4)?.parse().ok()?,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        used: number(11) + number(12),
        started: number(19),
        bytes: number(20),
        pages: number(21),
        command,
    })
}

impl Process {
    fn show(&self, column: &str, since: u64) -> String {
        let age = since.saturating_sub(self.started / TICKS);
        match column {
            "uid" | "user" => user(self.uid),
            "pid" => self.pid.to_string(),
            "ppid" => self.parent.to_string(),
            "c" => {
                let used = self.used / TICKS;
                (used * 100).checked_div(age).unwrap_or(0).min(99).to_string()
            }
            "stime" | "start" => clock(age),
            "tty" => match self.terminal {
                0 => "?".to_owned(),
                // The major number of the slaves of pseudo-terminals.
                device if device >> 8 & 0xfff == 136 => format!("pts/{}", device & 0xff),
                device => format!("{}:{}", device >> 8 & 0xfff, device & 0xff),
            },
            "time" => {
                let used = self.used / TICKS;
                format!("{:02}:{:02}:{:02}", used / 3600, used / 60 % 60, used % 60)
            }
            "comm" => self.name.clone(),
            "stat" | "state" => self.state.to_string(),
            "rss" => (self.pages * rustix::param::page_size() as u64 / 1024).to_string(),
            "vsz" => (self.bytes / 1024).to_string(),
            _ => self.command.clone(),
        }
    }
}

/// The host's name of a user, or its number.
fn user(uid: u32) -> String {
    let names = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

/// The seconds since the machine was started.
fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split('.').next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// The time of day that was so many seconds ago, as `ps` has it.
fn clock(age: u64) -> String {
    let span = jiff::SignedDuration::from_secs(i64::try_from(age).unwrap_or(i64::MAX));
    let then = jiff::Timestamp::now().checked_sub(span).unwrap_or_default();
    let format = if age < 24 * 3600 { "%H:%M" } else { "%b%d" };
    then.to_zoned(jiff::tz::TimeZone::UTC).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_ps() {
        let titles = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
            let columns = columns(&options).map_err(|error| error.to_string());
            columns.map(|columns| {
                let titles = columns.unwrap_or_default().into_iter().map(|(_, title)| title);
                titles.collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(titles(&[]).unwrap(), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles(&["-o", "pid,comm"]).unwrap(), "PID COMMAND");
        assert_eq!(titles(&["-opid"]).unwrap(), "PID");
        assert_eq!(titles(&["-o", "comm"]).unwrap_err(), "Couldn't find PID field in ps output");
        for others in [&["aux"][..], &["--forest"], &["-o", "pid,wchan"], &["-o", "pid", "-H"]] {
            assert_eq!(titles(others).unwrap(), "", "{others:?}");
        }
    }

    #[test]
    fn this_process_is_shown() {
        let own = read(std::process::id() as i32).unwrap();
        assert_eq!(own.show("pid", uptime()), std::process::id().to_string());
        assert!(!own.show("cmd", uptime()).is_empty());
        assert!(own.show("rss", uptime()).parse::<u64>().unwrap() > 0);
    }
}
