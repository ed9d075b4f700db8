//! The `catalog` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The list of repositories, `/v2/_catalog`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Catalog {
    /// The most repositories in one page.
    pub maxentries: u32,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { maxentries: 1000 }
    }
}
