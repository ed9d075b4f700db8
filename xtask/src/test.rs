//! `cargo xtask test`: everything, cheapest first.

use crate::part::Part;
use crate::{
    clients, conformance, crash, deny, faults, fuzz, lint, replicas, runner, setup, soak, unit,
};

pub(crate) fn parts() -> Vec<Part> {
    let mut parts = setup::parts();
    parts.extend(lint::parts());
    parts.extend(deny::parts());
    parts.extend(unit::parts());
    parts.extend(conformance::parts());
    // The server is built once.
    parts.extend(clients::parts().into_iter().skip(1));
    parts.push(faults::part());
    parts.push(crash::in_short());
    parts.push(soak::in_short());
    parts.push(replicas::in_short());
    parts.push(runner::part());
    parts.extend(fuzz::parts());
    parts
}
