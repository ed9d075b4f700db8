//! `cargo xtask setup`: what the other commands need and this machine does not have yet.

use crate::part::Part;
use crate::tools::{cargo, debian, go, stores};

pub(crate) fn parts() -> Vec<Part> {
    vec![
        Part { name: "packages", what: "Debian packages that are missing", run: debian::install },
        Part {
            name: "Go tools",
            what: "clients and conformance suites that Debian lacks",
            run: go::install,
        },
        Part { name: "cargo tools", what: "cargo-deny and cargo-fuzz", run: cargo::install_all },
        Part {
            name: "object stores",
            what: "the servers that the tests of the storage drivers start",
            run: stores::install,
        },
    ]
}
