//! Starts that cannot succeed: `berth` is run to its end, and says why.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::server::berth_binary;

/// Runs `berth` to its end in `directory`, with these variables.
pub fn berth(directory: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    // A start that succeeds where it must not would go on for ever.
    let mut command = Command::new("/usr/bin/timeout");
    finish(command.arg("60").arg(berth_binary()?).args(arguments), directory, environment)
}

/// Runs a command in `directory` with these variables, and no others, to its end.
pub fn finish(
    command: &mut Command,
    directory: &Path,
    environment: &[(&str, &str)],
) -> Result<Output> {
    command.current_dir(directory).env_clear().envs(environment.iter().copied());
    command.output().context("cannot start berth")
}

/// Checks that it failed with a message on its standard error that holds these words.
pub fn fails(output: &Output, words: &[&str]) -> Result<()> {
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "ended with {}: {told}", output.status);
    ensure!(told.contains("berth: "), "{told}");
    ensure!(!told.contains("panicked"), "{told}");
    for word in words {
        ensure!(told.contains(word), "{word:?} is not in: {told}");
    }
    Ok(())
}
