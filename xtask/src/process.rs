//! Runs other programs and shows what they do.

use std::env;
use std::io::{BufRead as _, BufReader, pipe};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::context::Context;
use crate::part::{Outcome, Tests};

/// cargo in the tree's root.
pub(crate) fn cargo(context: &Context, arguments: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments.split_whitespace()).current_dir(&context.root);
    command
}

/// Runs a command to its end; an error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("cannot start {}", program(command)))?;
    ensure!(status.success(), "{} ended with {status}", line(command));
    Ok(())
}

/// Runs a command silently and returns its standard output; an error with all it printed if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", program(command)))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{} ended with {}:\n{}{}",
        line(command),
        output.status,
        stdout,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(stdout.into_owned())
}

/// Whether a command succeeds; what it prints is of no interest.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a check that prints for itself what is wrong.
pub(crate) fn check(command: &mut Command) -> Result<Outcome> {
    match run(command) {
        Ok(()) => Outcome::passed(""),
        Err(error) => Outcome::failed(format!("{error:#}")),
    }
}

/// Runs tests and adds up what their runners count.
pub(crate) fn tests(command: &mut Command) -> Result<Outcome> {
    let mut tests = Tests::default();
    let ended = watched(command, |text| {
        if let Some(counted) = runner_line(text) {
            tests += counted;
        }
    })?;
    if let Err(reason) = ended {
        return Ok(Outcome::Failed { tests, reason });
    }
    ensure!(tests.passed > 0, "{} ran no test", line(command));
    Ok(Outcome::Passed { tests, note: format!("{} tests", tests.passed) })
}

/// Runs a command to its end and looks at each line that it prints; if it fails, what it told of its failures.
pub(crate) fn watched(
    command: &mut Command,
    mut look: impl FnMut(&str),
) -> Result<Result<(), String>> {
    announce(command);
    let (output, input) = pipe()?;
    let mut child = command
        .stdout(input.try_clone()?)
        .stderr(input)
        .spawn()
        .with_context(|| format!("cannot start {}", program(command)))?;
    // It holds the other end of the pipe, which would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut failures = Failures::default();
    for text in BufReader::new(output).split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        failures.look_at(&text);
        look(&text);
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(Ok(()));
    }
    let mut reason = format!("{} ended with {status}", line(command));
    reason.extend(failures.told.iter().map(|line| format!("\n{line}")));
    Ok(Err(reason))
}

/// What tests say of their failures, to be told again at the end of a long run.
#[derive(Default)]
struct Failures {
    told: Vec<String>,
    /// How many of the next lines belong to the failure that is being told.
    more: usize,
}

impl Failures {
    /// How many lines tell of one failure, and of all.
    const OF_ONE: usize = 12;
    const OF_ALL: usize = 60;

    fn look_at(&mut self, text: &str) {
        let error = text.starts_with("Error: ") || text.contains(" ... Error: ");
        // A fuzzer's input, which nothing else keeps where the folder is thrown away.
        let input = text.starts_with("Base64: ");
        if error || text.contains(" panicked at ") {
            self.more = Self::OF_ONE;
        } else if input {
            self.more = 1;
        } else if text.starts_with("test ") {
            self.more = 0;
        }
        if self.more > 0 && self.told.len() < Self::OF_ALL {
            self.more -= 1;
            self.told.push(text.to_owned());
        }
    }
}

/// The numbers in `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
fn runner_line(text: &str) -> Option<Tests> {
    let result = text.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let before = result.split(word).next()?;
        before.trim_end().rsplit(' ').next()?.parse().ok()
    };
    Some(Tests { passed: number("passed;")?, failed: number("failed;")? })
}

fn announce(command: &Command) {
    println!("$ {}", line(command));
}

fn line(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(program(command).into()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn program(command: &Command) -> String {
    let program = command.get_program();
    std::path::Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned()
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn failures_are_told_again() {
        let mut failures = Failures::default();
        let tests = ["test a ... Error: lost", "", "Caused by:", "test b ... ok", "fine"];
        let fuzzer = ["stat::new_units_added: 2", "Base64: MDA=", ""];
        tests.iter().chain(&fuzzer).for_each(|line| failures.look_at(line));
        assert_eq!(failures.told, ["test a ... Error: lost", "", "Caused by:", "Base64: MDA="]);
    }

    #[test]
    fn runner_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(runner_line(line), Some(Tests { passed: 12, failed: 3 }));
        assert_eq!(runner_line("test a::b ... ok"), None);
    }
}
