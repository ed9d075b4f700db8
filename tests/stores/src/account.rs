//! The account of the servers that refuse to run as root.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;

/// Debian's packages of PostgreSQL and PgBouncer bring it.
const ACCOUNT: &str = "postgres";

/// `setpriv` as that account, or as whoever runs the tests if that is not root.
pub(crate) fn setpriv() -> Command {
    let mut command = Command::new("setpriv");
    if geteuid().is_root() {
        command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"]);
    }
    command
}

/// Gives a file, or a folder with all that is in it, to that account.
pub(crate) fn own(path: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = format!("{ACCOUNT}:{ACCOUNT}");
    let output = Command::new("chown").args(["--recursive", &owner]).arg(path).output();
    let output = output.context("cannot start chown")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
