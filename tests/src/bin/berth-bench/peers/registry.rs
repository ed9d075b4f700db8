//! Berth and distribution: both read the same configuration file.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::Result;

use super::Launch;

/// What the page says about it.
pub(crate) const SETTINGS: &str = "registries: `log.level: error`, access log off, filesystem storage; distribution \
    with `storage.cache.blobdescriptor: inmemory`, as its example file has it, and without traces";

pub(super) fn command(program: &Path, launch: &Launch, address: SocketAddr) -> Result<Command> {
    let config = launch.folder.join("config.yml");
    let data = launch.data();
    let data = data.display();
    fs::write(
        &config,
        format!(
            "version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: \"{data}\"}}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
http: {{addr: \"{address}\"}}
"
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("serve").arg(config).current_dir(&launch.folder);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("REGISTRY_") {
            command.env_remove(name);
        }
    }
    // distribution 3 sends traces unless it is told not to.
    command.env("OTEL_TRACES_EXPORTER", "none");
    Ok(command)
}
