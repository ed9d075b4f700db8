use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// How often somebody may be wrong before further passwords of theirs are answered with 429, unseen. What is right is
/// not counted. Each process counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoginAttempts {
    /// How many wrong passwords for one name from one address.
    pub account: u32,
    /// How many wrong passwords from one address, whatever the name.
    pub source: u32,
    /// How long a wrong password counts.
    pub window: GoDuration,
    /// How many passwords are compared at a time, by threads that step back behind those that serve. Each takes 20 MiB
    /// and some ten milliseconds of a processor; more of them wait.
    pub parallel: u32,
}

impl Default for LoginAttempts {
    fn default() -> Self {
        Self { account: 10, source: 100, window: GoDuration::from_secs(300), parallel: 2 }
    }
}
