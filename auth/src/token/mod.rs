//! Signed tokens (JWT): those that Berth issues, and those of servers that it trusts.
//!
//! A key is for the algorithms of its kind, whatever a token says of itself: so neither `none`, nor
//! a public key taken for a shared secret, is ever considered.

mod certificates;
mod error;
mod issued;
mod jwks;
mod key;
mod own_keys;
mod trusted;

pub use certificates::CertificateError;
pub use error::TokenError;
pub use issued::{IssuedToken, Way};
pub use jwks::{JwksError, KeySet};
pub use key::{AlgorithmError, Algorithms};
pub use own_keys::{NewKey, OwnKeys, SigningError};
pub(crate) use trusted::verify_with;
pub use trusted::{ForeignToken, TrustedServer};

/// By how many seconds two clocks may differ.
pub const LEEWAY: u64 = 60;
