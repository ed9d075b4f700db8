//! Who is asking, and what they may do.
//!
//! This crate knows the ways in which somebody can show who they are (a password file, passwords and
//! secrets of a database, signed tokens, claims of other issuers) and the policy that says what they
//! may do. It has no server, no database and no files of its own: whoever uses it brings the requests,
//! the records and the bytes.
//!
//! - [`Credentials`] is what a request shows, [`Challenge`] what it is asked for, [`Scope`] what for.
//! - [`Htpasswd`], [`password`] and [`secret`] tell whether a password or a secret is right.
//! - [`token`] signs and verifies tokens; [`workload`] says whose claims stand for what.
//! - [`Policy`] decides; [`Throttle`] slows down who guesses.

mod background;
mod challenge;
mod credentials;
mod htpasswd;
pub mod password;
mod policy;
mod scope;
pub mod secret;
mod throttle;
pub mod token;
pub mod workload;

pub use challenge::{Challenge, ChallengeError};
pub use credentials::{Credentials, CredentialsError, Password};
pub use htpasswd::{Htpasswd, HtpasswdError};
pub use policy::{Decision, Holder, Limit, Memberships, Policy, Reason, Who};
pub use scope::{AccessEntry, AccessList, Scope, ScopeError};
pub use throttle::{Attempts, Throttle};
