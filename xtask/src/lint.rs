//! `cargo xtask lint`: what can be found without running anything.

use crate::elsewhere;
use crate::part::Part;
use crate::process::{cargo, check};

pub(crate) fn parts() -> Vec<Part> {
    vec![
        Part {
            name: "formatting",
            what: "cargo fmt --check",
            run: |context| check(&mut cargo(context, "fmt --all --check")),
        },
        Part {
            name: "clippy",
            what: "clippy on everything, warnings are errors",
            run: |context| {
                check(&mut cargo(
                    context,
                    "clippy --workspace --all-targets --locked -- -D warnings",
                ))
            },
        },
        Part {
            name: "documentation",
            what: "rustdoc, warnings are errors",
            run: |context| {
                check(
                    cargo(context, "doc --workspace --no-deps --locked")
                        .env("RUSTDOCFLAGS", "-D warnings"),
                )
            },
        },
        elsewhere::part(),
    ]
}
