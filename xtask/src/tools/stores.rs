//! Object-store servers, which `tests/stores` knows how to install.

use anyhow::Result;

use crate::context::Context;
use crate::part::Outcome;
use crate::process::{cargo, run};

/// Installs the servers that are missing; the program says which cannot be installed, and why.
pub(crate) fn install(context: &Context) -> Result<Outcome> {
    let mut install = cargo(context, "run --quiet -p berth-test-stores --bin berth-stores-install");
    match run(&mut install) {
        Ok(()) => Outcome::passed("all are installed"),
        Err(_) => Outcome::not_run("a server cannot be installed, for the reason above"),
    }
}
