//! Installs the object-store servers of the tests that are not there, or of them those that are named; says what cannot
//! be installed, and why.

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use berth_test_stores::install::TOOLS;

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    let mut missing = false;
    for name in wanted.iter().filter(|name| TOOLS.iter().all(|tool| tool.name != **name)) {
        println!("there is no server {name} to install");
        missing = true;
    }
    for tool in TOOLS.iter().filter(|tool| is_wanted(tool.name) && !tool.is_installed()) {
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
