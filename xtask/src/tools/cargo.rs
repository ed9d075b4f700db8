//! Programs that cargo installs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::find;
use crate::context::Context;
use crate::part::Outcome;
use crate::process::{self, output, run};

/// A program of crates.io at a pinned version.
pub(crate) struct CargoTool {
    name: &'static str,
    version: &'static str,
}

pub(crate) const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
pub(crate) const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };

impl CargoTool {
    /// Where the program is, if it is there at this version.
    pub(crate) fn installed(&self, context: &Context) -> Option<PathBuf> {
        let path = find(context, self.name)?;
        let printed = output(Command::new(&path).arg("--version")).ok()?;
        (printed.trim() == format!("{} {}", self.name, self.version)).then_some(path)
    }
}

/// Installs all tools that are missing or of another version.
pub(crate) fn install_all(context: &Context) -> Result<Outcome> {
    for tool in [CARGO_DENY, CARGO_FUZZ] {
        if let Err(error) = install(context, &tool) {
            return Outcome::not_run(format!("cannot install {}: {error:#}", tool.name));
        }
    }
    Outcome::passed("cargo-deny and cargo-fuzz are installed")
}

/// Installs a tool that is missing or of another version.
pub(crate) fn install(context: &Context, tool: &CargoTool) -> Result<()> {
    if tool.installed(context).is_some() {
        return Ok(());
    }
    let mut command = process::cargo(context, "install --locked --force --root");
    command.arg(&context.cache).arg(format!("{}@{}", tool.name, tool.version));
    run(command.env_remove("CARGO_TARGET_DIR"))
}
