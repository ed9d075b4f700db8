//! The `health` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GoDuration, Opaque};

/// Periodic checks of what the registry depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Health {
    /// Checks of the storage driver.
    pub storagedriver: StorageDriverHealth,
    /// Checks for the presence of files.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "berth checks its own stores only: `/readyz` tells whether they answer"))]
    pub file: Opaque,
    /// Checks of URLs.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "berth checks its own stores only: `/readyz` tells whether they answer"))]
    pub http: Opaque,
    /// Checks of TCP addresses.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "berth checks its own stores only: `/readyz` tells whether they answer"))]
    pub tcp: Opaque,
}

/// Checks of the storage driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StorageDriverHealth {
    /// Whether the driver is checked.
    pub enabled: bool,
    /// Time between two checks.
    pub interval: GoDuration,
    /// Failures in a row after which `/readyz` answers 503.
    pub threshold: u32,
}

impl Default for StorageDriverHealth {
    fn default() -> Self {
        Self { enabled: true, interval: GoDuration::from_secs(10), threshold: 3 }
    }
}
