//! The host's `ps`, for what people ask of `top` that only it knows.

use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use super::error::ContainerError;
use super::top::Processes;

/// What it says of these processes.
pub(super) fn ps(options: &[String], pids: &[i32]) -> Result<Processes, ContainerError> {
    let words = options.join(" ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let list: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let mut output = run(&words, Some(&format!("-q{}", list.join(","))))?;
    if !output.status.success() {
        // Some options and a list of processes exclude each other.
        output = run(&words, None)?;
    }
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let first = errors.lines().next().unwrap_or_default();
        return Err(ContainerError::Invalid(format!("ps: {first}")));
    }
    table(&String::from_utf8_lossy(&output.stdout), pids)
}

/// Docker's words for options that leave the column out by which processes are known.
pub(super) fn no_pid() -> ContainerError {
    ContainerError::Invalid("Couldn't find PID field in ps output".to_owned())
}

fn run(words: &[&str], pids: Option<&str>) -> Result<Output, ContainerError> {
    let output = Command::new("ps").args(words).args(pids).stdin(Stdio::null()).output();
    output.map_err(|source| match source.kind() {
        ErrorKind::NotFound => ContainerError::Invalid(format!(
            "ps is not installed, and only it knows the options {:?}",
            words.join(" ")
        )),
        _ => ContainerError::System { doing: "execute ps".to_owned(), source },
    })
}

/// The rows of processes that are meant; the last column has all that is left of a line.
fn table(text: &str, pids: &[i32]) -> Result<Processes, ContainerError> {
    let mut lines = text.lines();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let titles = words(lines.next().unwrap_or_default());
    let place = titles.iter().position(|title| title == "PID").ok_or_else(no_pid)?;
    let last = titles.len() - 1;
    let mut rows = Vec::new();
    for line in lines {
        let mut row = words(line);
        let pid = row.get(place).and_then(|pid| pid.parse::<i32>().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            let rest = row.split_off(last.min(row.len()));
            row.push(rest.join(" "));
            rows.push(row);
        }
    }
    Ok(Processes { titles, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_processes_are_left_out_and_the_last_column_has_the_rest() {
        let text = "USER   PID COMMAND\nroot     1 init\nann     12 sh -c  x\n";
        let found = table(text, &[12]).unwrap();
        assert_eq!(found.titles, ["USER", "PID", "COMMAND"]);
        assert_eq!(found.rows, [["ann", "12", "sh -c x"]]);
        assert!(table("COMMAND\nsh\n", &[12]).is_err());
    }
}
