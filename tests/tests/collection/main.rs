//! Garbage is collected all the time while images are pushed, pulled, mounted and deleted, and nobody notices: no
//! request fails, nothing that was acknowledged is missing, and at the end nothing is left that nothing names.
//!
//! `BERTH_SOAK_SECONDS` sets how long each mixture runs (15 unless told otherwise), `BERTH_SOAK_SEED` repeats the
//! choices of a run. It needs the optimised build, so it is ignored unless `cargo xtask soak` asks for it.

mod command;
mod deletion;
mod kills;
mod leftovers;
mod retention;
mod soak;
mod worker;
