//! The OCI runtime alone, which `berth oci` is, too.

use std::process::ExitCode;

fn main() -> ExitCode {
    berth_runner::oci::main(std::env::args_os())
}
