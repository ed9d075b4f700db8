//! `cargo xtask unit`: the tests that need nothing but the tree.

use crate::part::Part;
use crate::process::{cargo, tests};

pub(crate) fn parts() -> Vec<Part> {
    vec![Part {
        name: "unit",
        what: "unit, integration and documentation tests of the workspace",
        run: |context| tests(&mut cargo(context, "test --workspace --locked --no-fail-fast")),
    }]
}
