//! The options of `run` and `create`, in docker's words, and the configurations that follow from them.
//!
//! Each group of options is in a file of its own, with what it adds to the two configurations. Values
//! with a grammar are read by [`berth_runner::spec::parse`].

mod health;
mod limits;
mod network;
mod process;
mod security;
mod storage;
mod words;

use std::path::PathBuf;

use anyhow::{Result, bail};
use berth_runner::spec::{ContainerConfig, HostConfig};
use clap::Args;

use health::HealthOptions;
use limits::LimitOptions;
use network::NetworkOptions;
use process::ProcessOptions;
use security::SecurityOptions;
use storage::StorageOptions;

pub(crate) use words::{AsDocker, filter};

/// What `run` and `create` have in common.
#[derive(Args, Debug)]
pub(crate) struct ContainerOptions {
    #[command(flatten)]
    process: ProcessOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    security: SecurityOptions,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    health: HealthOptions,

    /// Assign a name to the container
    #[arg(long)]
    name: Option<String>,
    /// Write the container ID to the file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Set platform if server is multi-platform capable
    #[arg(long)]
    platform: Option<String>,
    /// Pull image before running
    #[arg(long, value_name = "always|missing|never", value_parser = pull, default_value = "missing")]
    pull: Pull,
    /// Suppress the pull output
    #[arg(long, short)]
    quiet: bool,
    /// Skip image verification
    #[arg(long, default_value = "true", hide = true, num_args = 0..=1, require_equals = true)]
    disable_content_trust: Option<String>,

    /// The image, and what is executed in it instead of what it says itself.
    // After the first word that is no option, nothing is an option any more.
    #[arg(required = true, trailing_var_arg = true, num_args = 1.., value_names = ["IMAGE", "COMMAND"])]
    image_and_command: Vec<String>,
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// Every time.
    Always,
    /// When it is not there.
    Missing,
    /// Not at all.
    Never,
}

fn pull(text: &str) -> Result<Pull, String> {
    match text {
        "always" => Ok(Pull::Always),
        "missing" | "" => Ok(Pull::Missing),
        "never" => Ok(Pull::Never),
        text => Err(format!(
            "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\""
        )),
    }
}

/// What `run` has besides.
#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,
    /// Run container in background and print container ID
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    pub(crate) detach_keys: Option<String>,
    /// Proxy received signals to the process
    #[arg(long, action = clap::ArgAction::Set, default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = words::switch)]
    pub(crate) sig_proxy: bool,
}

/// What `create` has.
#[derive(Args, Debug)]
pub(crate) struct CreateOptions {
    #[command(flatten)]
    pub(crate) container: ContainerOptions,
}

/// What is asked for, with all words read.
#[derive(Debug)]
pub(crate) struct Request {
    /// What the container is to be called.
    pub(crate) name: Option<String>,
    /// The image.
    pub(crate) image: String,
    /// Of which platform it is to be.
    pub(crate) platform: Option<String>,
    /// Whether it is pulled first.
    pub(crate) pull: Pull,
    /// Whether that is told.
    pub(crate) quiet: bool,
    /// Where the id is written to; also a member of the second configuration.
    pub(crate) cidfile: Option<PathBuf>,
    /// What runs.
    pub(crate) config: ContainerConfig,
    /// On what.
    pub(crate) host_config: HostConfig,
}

impl RunOptions {
    /// Refuses what makes sense for a container that is created, and none for one that runs at once.
    ///
    /// # Errors
    ///
    /// What is wrong, in docker's words.
    pub(crate) fn check(&self) -> Result<()> {
        if self.detach && self.container.process.names_streams() {
            bail!("conflicting options: cannot specify both --attach and --detach");
        }
        Ok(())
    }
}

impl ContainerOptions {
    /// Reads what needs more than one option, or a file, to be understood.
    ///
    /// # Errors
    ///
    /// What is wrong, in docker's words.
    pub(crate) fn request(self) -> Result<Request> {
        let mut words = self.image_and_command.into_iter();
        // There is one at least, says the argument.
        let image = words.next().unwrap_or_default();
        let command: Vec<String> = words.collect();
        let mut config = ContainerConfig {
            image: image.clone(),
            cmd: (!command.is_empty()).then_some(command),
            ..ContainerConfig::default()
        };
        let mut host_config = HostConfig::default();
        if let Some(file) = &self.cidfile {
            host_config.container_id_file = file.to_string_lossy().into_owned();
        }
        self.process.apply(&mut config, &mut host_config)?;
        self.limits.apply(&mut host_config);
        self.security.apply(&mut host_config)?;
        self.network.apply(&mut config, &mut host_config)?;
        self.storage.apply(&mut config, &mut host_config)?;
        self.health.apply(&mut config)?;
        Ok(Request {
            name: self.name,
            image,
            platform: self.platform.filter(|platform| !platform.is_empty()),
            pull: self.pull,
            quiet: self.quiet,
            cidfile: self.cidfile,
            config,
            host_config,
        })
    }
}

#[cfg(test)]
mod tests;
