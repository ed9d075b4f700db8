//! What a retention policy says of tags: the decisions, without the database and the clock.
//!
//! A rule judges the tags of one repository in two passes over them. The first, a [`Survey`], finds out
//! how new a tag must be to belong to the newest ones; the second asks the [`Judge`] that comes of it for
//! the [`Verdict`] of each tag. What is remembered between them is bounded by the rule, not by the
//! repository. A dry run and a real one ask the same judge.
//!
//! - `attached` and `version` read names of tags; `newest` finds the newest of anything.
//! - `pulls` gathers which manifests are read, where a rule asks for it.

mod attached;
mod judge;
mod newest;
#[cfg(test)]
mod properties;
mod pulls;
mod verdict;
mod version;

pub(crate) use judge::{Judge, Survey};
pub(crate) use pulls::PullLog;
pub(crate) use verdict::Verdict;
