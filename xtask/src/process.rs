//! Runs other programs and shows what they do.

use std::env;
use std::io::{BufRead as _, BufReader};
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
    announce(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program(command)))?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut tests = Tests::default();
    for text in BufReader::new(stdout).split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        if let Some(counted) = runner_line(&text) {
            tests += counted;
        }
    }
    let status = child.wait()?;
    if !status.success() {
        return Ok(Outcome::Failed {
            tests,
            reason: format!("{} ended with {status}", line(command)),
        });
    }
    ensure!(tests.passed > 0, "{} ran no test", line(command));
    Ok(Outcome::Passed { tests, note: format!("{} tests", tests.passed) })
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
    fn runner_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(runner_line(line), Some(Tests { passed: 12, failed: 3 }));
        assert_eq!(runner_line("test a::b ... ok"), None);
    }
}
