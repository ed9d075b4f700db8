//! Who asks, and what they may do: the vocabulary of accounts and grants.

mod account;
mod action;
mod grant;
mod pattern;
mod role;
mod stars;
mod subject;

pub use account::{AccountName, AccountNameError, TeamName};
pub use action::{Access, Actions};
pub use grant::{Effect, Grant, GrantError};
pub use pattern::{PatternError, RepositoryPattern};
pub use role::Role;
pub use stars::matches_stars;
pub use subject::{Subject, SubjectError};
