//! What is mounted into a container, and where what it says is kept.

use anyhow::{Result, bail};
use berth_runner::spec::{ContainerConfig, Empty, HostConfig, Mount, parse};
use clap::Args;

/// Options of mounts and logs.
#[derive(Args, Debug)]
pub(super) struct StorageOptions {
    /// Bind mount a volume
    #[arg(long, short, value_name = "[SOURCE:]PATH[:OPTIONS]")]
    volume: Vec<String>,
    /// Attach a filesystem mount to the container
    #[arg(long, value_name = "MOUNT", value_parser = parse::mount)]
    mount: Vec<Mount>,
    /// Mount a tmpfs directory
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Mount volumes from the specified container(s)
    #[arg(long, hide = true)]
    volumes_from: Vec<String>,
    /// Optional volume driver for the container
    #[arg(long, hide = true)]
    volume_driver: Option<String>,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    read_only: bool,
    /// Storage driver options for the container
    #[arg(long, hide = true)]
    storage_opt: Vec<String>,
    /// Logging driver for the container
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// Log driver options
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
}

impl StorageOptions {
    pub(super) fn apply(self, config: &mut ContainerConfig, host: &mut HostConfig) -> Result<()> {
        for text in self.volume {
            let text = absolute(text);
            let volume = parse::volume(&text)?;
            if volume.source.is_empty() {
                config.volumes.insert(text, Empty {});
            } else {
                host.binds.push(text);
            }
        }
        for text in self.tmpfs {
            let (place, options) = text.split_once(':').unwrap_or((&text, ""));
            host.tmpfs.insert(place.to_owned(), options.to_owned());
        }
        if !self.storage_opt.is_empty() {
            bail!("--storage-opt is not supported: there is no limit to the size of a container");
        }
        host.mounts = self.mount;
        host.volumes_from = self.volumes_from;
        host.volume_driver = self.volume_driver.unwrap_or_default();
        host.readonly_rootfs = self.read_only;
        host.log_config.kind = self.log_driver.unwrap_or_default();
        if host.log_config.kind == "none" && !self.log_opt.is_empty() {
            bail!("invalid logging opts for driver none");
        }
        host.log_config.config = parse::label_map(&self.log_opt);
        Ok(())
    }
}

/// A source that begins with a dot is one of the folder that the command is run in.
fn absolute(text: String) -> String {
    let Some((source, rest)) = text.split_once(':').filter(|_| text.starts_with('.')) else {
        return text;
    };
    match std::path::absolute(source) {
        Ok(path) => format!("{}:{rest}", path.display()),
        Err(_) => text,
    }
}
