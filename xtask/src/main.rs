//! The development commands of Berth: `cargo xtask test` proves everything, the others prove a part of it.
//!
//! A command is a file here and a line in [`Command`], with its arm in [`main`].

mod bench;
mod clients;
mod conformance;
mod context;
mod crash;
mod deny;
mod elsewhere;
mod faults;
mod fuzz;
mod lint;
mod part;
mod process;
mod replicas;
mod runner;
mod setup;
mod soak;
mod test;
mod tools;
mod unit;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::context::Context;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development commands of Berth")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything: set up, lint, deny, unit, conformance, clients, faults, crash, soak, replicas, runner and fuzz in short
    Test,
    /// Install what the tests need: Debian packages, Go tools, cargo tools
    Setup,
    /// Formatting, clippy, documentation and a check for other systems, with warnings as errors
    Lint,
    /// Licences, bans, sources and advisories of the dependencies
    Deny,
    /// Unit and integration tests of the workspace
    Unit,
    /// The OCI's conformance suites against `berth serve`
    Conformance,
    /// Real clients against `berth serve`
    Clients,
    /// `berth serve` on bad days: full disks, damaged databases, signals, crowds
    Faults,
    /// Kill `berth serve` under load, 200 times
    Crash,
    /// Collect garbage under a mixture of pushes, pulls and deletes, for an hour
    Soak,
    /// Several `berth serve` on one PostgreSQL that fails, with nodes that die and clocks that differ
    Replicas(replicas::Arguments),
    /// `berth oci`: containers in real namespaces and cgroups
    Runner,
    /// The parsers of outside input against inputs that nobody thought of
    Fuzz(fuzz::Arguments),
    /// Measure Berth and its peers, and write docs/benchmarks; no number makes it fail
    Bench(bench::Arguments),
}

#[derive(Args, Debug)]
struct Options {
    /// Do not fail because a part could not run on this machine; it is still reported
    #[arg(long, global = true)]
    allow_missing: bool,
}

fn main() -> Result<ExitCode> {
    let Arguments { command, options } = Arguments::parse();
    let context = Context::new(options.allow_missing)?;
    let parts = match command {
        Command::Test => test::parts(),
        Command::Setup => setup::parts(),
        Command::Lint => lint::parts(),
        Command::Deny => deny::parts(),
        Command::Unit => unit::parts(),
        Command::Conformance => conformance::parts(),
        Command::Clients => clients::parts(),
        Command::Faults => faults::parts(),
        Command::Crash => crash::parts(),
        Command::Soak => soak::parts(),
        Command::Replicas(arguments) => replicas::parts(&arguments),
        Command::Runner => runner::parts(),
        Command::Fuzz(arguments) => return fuzz::fuzz(&context, &arguments),
        Command::Bench(arguments) => return bench::bench(&context, &arguments),
    };
    part::run_all(&context, &parts)
}
