//! What is said of a command that failed.

use std::process::ExitCode;

use anyhow::{Error, Result};

/// What a command exits with; why it failed is told.
pub(crate) fn told(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| complain(&error, 1))
}

/// Tells why a command failed that is to exit with this.
pub(super) fn complain(error: &Error, code: u8) -> ExitCode {
    eprintln!("berth: {}", in_full(error));
    ExitCode::from(code)
}

/// An error with its causes; those that it names by itself stand there once.
fn in_full(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_cause_that_an_error_names_by_itself_stands_there_once() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = Error::new(denied()).context("make /x: permission denied").context("run");
        assert_eq!(in_full(&error), "run: make /x: permission denied");
        let error: Result<()> = Err(denied()).context("make /x");
        assert_eq!(in_full(&error.unwrap_err()), "make /x: permission denied");
    }
}
