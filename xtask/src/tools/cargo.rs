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

impl CargoTool {
    /// Where the program is, if it is there at this version.
    pub(crate) fn installed(&self, context: &Context) -> Option<PathBuf> {
        let path = find(context, self.name)?;
        let printed = output(Command::new(&path).arg("--version")).ok()?;
        (printed.trim() == format!("{} {}", self.name, self.version)).then_some(path)
    }
}

/// Installs the tools that are missing or of another version.
pub(crate) fn install(context: &Context) -> Result<Outcome> {
    let CargoTool { name, version } = CARGO_DENY;
    if CARGO_DENY.installed(context).is_some() {
        return Outcome::passed(format!("{name} {version} is installed"));
    }
    let mut command = process::cargo(context, "install --locked --force --root");
    command.arg(&context.cache).arg(format!("{name}@{version}")).env_remove("CARGO_TARGET_DIR");
    match run(&mut command) {
        Ok(()) => Outcome::passed(format!("installed {name} {version}")),
        Err(error) => Outcome::not_run(format!("cannot install {name}: {error:#}")),
    }
}
