//! How much one caller, or one repository, may take of the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ByteSize;

/// How much one of them may take. 0 is no limit. Each process counts by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Requests a second. More are answered with 429 and `Retry-After`.
    pub requests: u32,
    /// How many requests may come at once before that counts; as many as come in ten seconds when it is 0.
    pub burst: u32,
    /// Uploads at a time. More are answered with 429 and `Retry-After`.
    pub uploads: u32,
    /// Bytes a second, sent and received together. What is more waits.
    pub bandwidth: ByteSize,
}

impl Rates {
    /// Whether nothing is limited.
    pub fn is_unlimited(&self) -> bool {
        self.requests == 0 && self.uploads == 0 && self.bandwidth.bytes() == 0
    }
}
