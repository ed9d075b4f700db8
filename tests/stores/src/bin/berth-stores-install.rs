//! Installs the object-store servers of the tests that are not there; says what cannot be installed, and why.

use std::process::ExitCode;
use std::time::Instant;

use berth_test_stores::install::TOOLS;

fn main() -> ExitCode {
    let mut missing = false;
    for tool in TOOLS.iter().filter(|tool| !tool.is_installed()) {
        let start = Instant::now();
        match tool.install() {
            Ok(()) => println!("installed {} in {:.1} s", tool.name, start.elapsed().as_secs_f64()),
            Err(error) => {
                println!("{error:#}");
                missing = true;
            }
        }
    }
    if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
