//! `cargo xtask setup`: what the other commands need and this machine does not have yet.

use crate::part::Part;
use crate::tools::{cargo, debian, go};

pub(crate) fn parts() -> Vec<Part> {
    vec![
        Part { name: "packages", what: "Debian packages that are missing", run: debian::install },
        Part {
            name: "Go tools",
            what: "clients and conformance suites that Debian lacks",
            run: go::install,
        },
        Part { name: "cargo tools", what: "cargo-deny and cargo-fuzz", run: cargo::install_all },
    ]
}
