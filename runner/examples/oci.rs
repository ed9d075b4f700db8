//! The OCI runtime alone, without the registry that `berth` is besides.

use std::process::ExitCode;

fn main() -> ExitCode {
    // As `berth oci` is called, too, so that tests can take either.
    let is_named = std::env::args_os().nth(1).is_some_and(|name| name == "oci");
    berth_runner::oci::main(std::env::args_os().skip(usize::from(is_named)))
}
