use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;

/// Lines on the standard output, and a line of progress on the other one where a person looks on.
#[derive(Debug)]
pub(super) struct Screen {
    quiet: bool,
    has_progress: bool,
}

impl Screen {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, has_progress: false }
    }

    /// Shows how far the work is, in place of what was shown before.
    pub(super) fn progress(&mut self, text: &str) -> Result<()> {
        let mut out = std::io::stderr();
        if !self.quiet && out.is_terminal() {
            write!(out, "\r\x1b[K{text}")?;
            out.flush()?;
            self.has_progress = true;
        }
        Ok(())
    }

    /// Writes a line that stays.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        self.end_progress()?;
        if !self.quiet {
            writeln!(std::io::stdout(), "{text}")?;
        }
        Ok(())
    }

    /// Takes the line of progress away.
    pub(super) fn end_progress(&mut self) -> Result<()> {
        if std::mem::take(&mut self.has_progress) {
            write!(std::io::stderr(), "\r\x1b[K")?;
        }
        Ok(())
    }
}
