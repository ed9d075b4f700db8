//! Whether all but the runner builds on other systems than Linux, as far as their compilers need not be here for it.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::context::Context;
use crate::part::{Outcome, Part, Tests};
use crate::process::{cargo, check, output};

const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-unknown-freebsd"];

pub(crate) fn part() -> Part {
    Part {
        name: "other systems",
        what: "the Rust code is checked for macOS and FreeBSD, where there is no runner",
        run: elsewhere,
    }
}

fn elsewhere(context: &Context) -> Result<Outcome> {
    // Where Rust is not rustup's, its library for other systems may be had in no way.
    if let Err(error) = output(Command::new("rustup").args(["target", "add"]).args(TARGETS)) {
        println!("{error:#}");
        return Ok(Outcome::NotRun {
            tests: Tests::default(),
            reason: "rustup cannot get Rust's library for other systems".to_owned(),
            accepted: true,
        });
    }
    let stubs = context.root.join("xtask/elsewhere");
    // What is built for this machine with them must not be taken for the real thing.
    let target = context.target.join("elsewhere");
    fs::create_dir_all(&target)?;
    let allocator = target.join("libjemalloc.a");
    fs::write(&allocator, "!<arch>\n")?;

    let mut command = cargo(context, "check --package berth --locked");
    command.env("CARGO_TARGET_DIR", target).env("JEMALLOC_OVERRIDE", allocator);
    for target in TARGETS {
        let suffix = target.replace('-', "_");
        command.args(["--target", target]);
        command.env(format!("CC_{suffix}"), stubs.join("cc"));
        command.env(format!("AR_{suffix}"), stubs.join("ar"));
    }
    check(command.env("RUSTFLAGS", "-D warnings"))
}
