//! `cargo xtask bench`: Berth beside its peers. It measures and judges no change, so it is no part of `test`.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::context::Context;
use crate::process::{cargo, run};
use crate::tools::{self, debian, go};

/// Programs that are measured or measure, and their Debian packages.
const PROGRAMS: [(&str, &str); 11] = [
    ("wrk", "wrk"),
    ("hey", "hey"),
    ("nginx", "nginx-light"),
    ("docker-registry", "docker-registry"),
    ("openssl", "openssl"),
    ("crun", "crun"),
    ("runc", "runc"),
    ("podman", "podman"),
    ("dockerd", "docker.io"),
    ("containerd", "containerd"),
    ("skopeo", "skopeo"),
];

/// What berth-bench calls its rows.
const ROWS: [&str; 27] = [
    "manifests",
    "blobs",
    "tls",
    "push",
    "small-blobs",
    "memory",
    "growth",
    "start",
    "store-push",
    "store-stream",
    "store-requests",
    "store-memory",
    "database-reads",
    "database-writes",
    "database-million",
    "retention",
    "collection",
    "identity",
    "mirror",
    "import",
    "scrub",
    "backup",
    "oci-run",
    "run",
    "exec",
    "pull-ready",
    "monitor",
];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Another registry that already runs, measured beside the others: NAME=http://ADDRESS:PORT
    #[arg(long = "peer", value_name = "NAME=URL")]
    peers: Vec<String>,
    /// Small sizes and one round, in about five minutes; written to the target directory
    #[arg(long)]
    quick: bool,
    /// Only this row; the others keep the numbers that they have
    #[arg(long, value_name = "ROW", value_parser = ROWS)]
    only: Vec<String>,
    /// Measure nothing, only write the page again from the numbers that are there
    #[arg(long)]
    render: bool,
    /// Where the page and the numbers go [default: docs/benchmarks]
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn bench(context: &Context, arguments: &Arguments) -> Result<ExitCode> {
    run(&mut cargo(
        context,
        "build --release --locked --package berth --package berth-tests --package berth-test-stores \
         --bin berth --bin berth-bench --bin berth-stores-install",
    ))?;
    let mut command = Command::new(context.target.join("release/berth-bench"));
    // Debian keeps nginx where only root looks.
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    command.env("PATH", path);
    if !arguments.render {
        install_programs(context);
        match go::program_of(context, go::DISTRIBUTION) {
            Ok(path) => {
                command.arg("--distribution3").arg(path);
            }
            Err(error) => println!("distribution 3 is not measured: {error:#}"),
        }
        // It may need the Go that distribution has brought.
        install_store(context);
    }
    // Where the images for containers are kept.
    command.env("BERTH_CACHE", &context.cache);
    command.arg("--berth").arg(context.target.join("release/berth"));
    command.arg("--out").arg(out(context, arguments));
    command.arg("--work").arg(context.target.join("bench"));
    command.arg("--cache").arg(context.cache.join("bench"));
    for peer in &arguments.peers {
        command.args(["--peer", peer]);
    }
    for row in &arguments.only {
        command.args(["--only", row]);
    }
    for (flag, wanted) in [("--quick", arguments.quick), ("--render", arguments.render)] {
        if wanted {
            command.arg(flag);
        }
    }
    run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// The numbers of a quick run do not replace those of the published page.
fn out(context: &Context, arguments: &Arguments) -> PathBuf {
    match &arguments.out {
        Some(out) => out.clone(),
        None if arguments.quick => context.target.join("bench-quick"),
        None => context.root.join("docs/benchmarks"),
    }
}

/// A peer that cannot be installed is left out of the comparison, which the page says.
fn install_programs(context: &Context) {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !tools::is_installed(context, program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    if let Err(error) = debian::install_packages(&missing) {
        println!("cannot install {}: {error:#}", missing.join(", "));
    }
}

/// The S3 server; without it the rows that need it are not measured.
fn install_store(context: &Context) {
    let mut install = Command::new(context.target.join("release/berth-stores-install"));
    if let Err(error) = run(install.arg("versitygw")) {
        println!("no S3 server is measured: {error:#}");
    }
}
