//! The `audit` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// Who did what, and who was not let do it: in the database, and where wanted in a file. It is kept wherever `auth` says
/// who may use the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Whether nothing is kept.
    #[schemars(extend("x-berth-reload" = true))]
    pub disabled: bool,
    /// Whether each pull of a manifest or a blob is kept too, not only those that were refused.
    #[schemars(extend("x-berth-reload" = true))]
    pub pulls: bool,
    /// How long it is kept in the database.
    #[schemars(extend("x-berth-reload" = true))]
    pub keep: GoDuration,
    /// A file that the same is appended to, a line of JSON each. One that is moved away is made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-reload" = true))]
    pub file: Option<PathBuf>,
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            disabled: false,
            pulls: false,
            keep: GoDuration::from_secs(90 * 24 * 60 * 60),
            file: None,
        }
    }
}
