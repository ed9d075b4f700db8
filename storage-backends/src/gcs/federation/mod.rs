//! Workload identity federation: who has an identity of another cloud, or of any issuer of tokens,
//! gets a token of Google's for it (<https://google.aip.dev/auth/4117>).
//!
//! - `document` is the file that describes it, of the type `external_account`.
//! - `subject` gets the proof of the other identity; `aws` makes that of a machine of Amazon's.
//! - `exchange` makes Google's token of it; `tokens` keeps that until it is about to end.

mod aws;
mod document;
mod exchange;
mod subject;
mod tokens;

pub(super) use document::{Document, Origin, find};
pub(super) use tokens::Tokens;
