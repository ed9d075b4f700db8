use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use berth_registry::control::{Ask, Told};

/// `berth mirror status`: what the berth that serves knows of its upstreams.
pub(crate) fn status(file: Option<&Path>) -> Result<ExitCode> {
    let config = super::ask::config(file)?;
    super::ask::run(config, Ask::Mirrors, |told| {
        if let Told::Line(line) = told {
            writeln!(std::io::stdout(), "{line}")?;
        }
        Ok(())
    })
}
