use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// The tokens that Berth issues itself, at `/token`. It does so wherever grants, accounts, certificates or workloads are
/// configured; all replicas sign with the same keys, which are in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// Whether clients get tokens for passwords of the password file too, where that is all there is.
    pub enabled: bool,
    /// What the issuer is called in tokens.
    pub issuer: String,
    /// What the registry is called in tokens and challenges.
    pub service: String,
    /// How long a token is good.
    pub lifetime: GoDuration,
    /// How long a refresh token is good, which clients ask for to log in once (`docker login`).
    pub refresh: GoDuration,
    /// Whether a refresh token is good for one use, which gives the next. One that is used again takes the whole login
    /// away, since somebody else has it. Docker keeps the first, so this is for other clients.
    pub rotaterefresh: bool,
    /// How long a key signs before another is made.
    pub keylifetime: GoDuration,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            enabled: false,
            issuer: "berth".to_owned(),
            service: "berth".to_owned(),
            lifetime: GoDuration::from_secs(5 * 60),
            refresh: GoDuration::from_secs(30 * 24 * 60 * 60),
            rotaterefresh: false,
            keylifetime: GoDuration::from_secs(30 * 24 * 60 * 60),
        }
    }
}
