//! Passwords that somebody types, pipes, or leaves to chance.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, bail};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Where a new password comes from.
pub(super) enum NewPassword {
    /// Somebody has said it.
    Given(String),
    /// It was drawn, and has to be shown.
    Drawn(String),
}

impl NewPassword {
    /// From the standard input, where that is wanted; from the terminal, where there is one; else drawn.
    pub(super) fn ask(from_stdin: bool) -> Result<Self> {
        if from_stdin {
            return Ok(Self::Given(read_line()?));
        }
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Drawn(berth_registry::draw_password()?));
        }
        let password = prompt("Password: ")?;
        if prompt("The same again: ")? != password {
            bail!("the two are not the same");
        }
        Ok(Self::Given(password))
    }

    pub(super) fn value(&self) -> &str {
        match self {
            Self::Given(password) | Self::Drawn(password) => password,
        }
    }
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no password can be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks at the terminal, which does not show what is typed.
pub(crate) fn prompt(question: &str) -> Result<String> {
    let input = std::io::stdin();
    let mut out = std::io::stderr();
    write!(out, "{question}")?;
    out.flush()?;
    let before = tcgetattr(&input)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&input, OptionalActions::Flush, &silent)?;
    let line = read_line();
    tcsetattr(&input, OptionalActions::Flush, &before)?;
    writeln!(out)?;
    line
}
