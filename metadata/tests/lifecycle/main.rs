//! The protocol by which blobs become garbage and are removed, checked in every order of its steps.
//!
//! The model has one blob in a store that finds it by its digest, which is the hard case; two clients that push it, by
//! an upload or because a `HEAD` told them that it is there; somebody who deletes manifests and has them back, one who reads, and two
//! collectors, each of which may die between any two of its steps. Every decision is taken by the functions of
//! [`berth_metadata::lifecycle`] that the stores call. Time goes in ticks, and is bounded.
#![allow(clippy::expect_used, clippy::unwrap_used, unreachable_pub)]

mod model;
mod state;

use model::{Bug, Lifecycle};
use stateright::{Checker, Model};

/// What the check finds wrong, by the names of the properties.
fn violations(bug: Option<Bug>) -> Vec<&'static str> {
    let checker = Lifecycle { bug }.checker().threads(2).spawn_bfs().join();
    println!("{bug:?}: {} states", checker.unique_state_count());
    let mut found: Vec<_> = checker.discoveries().into_keys().collect();
    found.sort_unstable();
    found
}

#[test]
fn nothing_that_somebody_needs_is_removed_and_all_else_is() {
    assert_eq!(violations(None), ["garbage is removed at all"]);
}

#[test]
fn each_rule_is_needed() {
    let noticed = |bug: &Bug| violations(Some(*bug)).len() > 1;
    let not_noticed: Vec<_> = Bug::ALL.into_iter().filter(|bug| !noticed(bug)).collect();
    assert!(not_noticed.is_empty(), "{not_noticed:?}");
}
