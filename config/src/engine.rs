//! The `engine` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, GoDuration};

/// The container engine on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Engine {
    /// The folder of the engine's data (its `BERTH_DATA_ROOT`), `/var/lib/berth` if nobody has said otherwise. It belongs
    /// to the user that the registry runs as.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path", "x-berth-default" = "no layers are made ready"))]
    pub dataroot: Option<PathBuf>,
    /// The folder of what the engine forgets with a new start of the machine (its `BERTH_EXEC_ROOT`).
    #[schemars(extend("x-berth-type" = "path"))]
    pub execroot: PathBuf,
    /// How long layers are kept that nobody pulls, after the last push of an image that has them.
    pub keep: GoDuration,
    /// How many bytes these layers have at most, uncompressed. Of more those go first that are kept least long.
    pub maxsize: ByteSize,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            dataroot: None,
            execroot: PathBuf::from("/run/berth"),
            keep: GoDuration::from_secs(24 * 3600),
            maxsize: ByteSize::from_mib(16 << 10),
        }
    }
}
