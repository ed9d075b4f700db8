//! Making containers.

use jiff::Timestamp;

use super::attach::Attachment;
use super::engine::Engine;
use super::error::ContainerError;
use super::id::ContainerId;
use super::logs::{LogOptions, attributes};
use super::monitor;
use super::record::Record;
use super::store::Held;
use crate::images::Image;
use crate::network::NetworkMode;
use crate::spec::{
    ContainerConfig, HostConfig, HostFacts, RestartMode, UtsMode, command_line, mount_points,
};
use crate::volumes::VolumeStore;

/// What a container is to be.
#[derive(Clone, Debug, Default)]
pub struct CreateRequest {
    /// What it is to be called; nothing is any name.
    pub name: Option<String>,
    /// What runs in it, without what the image says.
    pub config: ContainerConfig,
    /// What it has of this machine.
    pub host_config: HostConfig,
    /// Whether whoever makes it starts it at once: then one that goes with its end also goes with a command that is
    /// killed before it has started it.
    pub starts: bool,
}

/// A container that was made, and that nobody else can start or remove yet.
#[derive(Debug)]
pub struct Created {
    /// What people should know although it works.
    pub warnings: Vec<String>,
    held: Held,
    record: Record,
}

impl Created {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.record.id
    }

    /// Starts it. Whether its program could be started is told by what is given back.
    ///
    /// # Errors
    ///
    /// When there can be no monitor.
    pub fn start(self, engine: &Engine) -> Result<Attachment, ContainerError> {
        Ok(Attachment::new(monitor::start(engine, self.held, self.record)?))
    }
}

impl Engine {
    /// Makes a container of an image.
    ///
    /// # Errors
    ///
    /// What of the request cannot be. Then nothing is left of it.
    pub fn create(&self, request: CreateRequest, image: &Image) -> Result<Created, ContainerError> {
        let CreateRequest { name, mut config, mut host_config, starts } = request;
        config.take_from_image(&of_image(image)?);
        let mut warnings = host_config.settle(&config, &HostFacts::detect()?)?;
        check(&config, &host_config, &mut warnings)?;
        let id = ContainerId::random()?;
        self.name_host(&id, &mut config, &host_config)?;
        let mounts = mount_points(&config, &host_config, &mut VolumeStore::random_name)?;
        let held = self.store.create(&id)?;
        let mut record = Record {
            id,
            name: String::new(),
            created: Timestamp::now(),
            image: image.id,
            layers: image.layers.clone(),
            config,
            host_config,
            mounts,
        };
        match self.write_new(&mut record, name, starts) {
            Ok(()) => Ok(Created { warnings, held, record }),
            Err(error) => {
                // The reason is worth more than what goes wrong while tidying up.
                let _ = self.remove_unfinished(&held, &record.mounts);
                Err(error)
            }
        }
    }

    /// Makes all that a container has before it runs. The record comes last: with it there is a container.
    fn write_new(
        &self,
        record: &mut Record,
        name: Option<String>,
        starts: bool,
    ) -> Result<(), ContainerError> {
        // A tag that is no template is found now, and not when there is something to log.
        attributes(record)?;
        // Kept until the container is recorded.
        let _kept = self.make_volumes(&record.id, &mut record.mounts)?;
        if starts && record.host_config.auto_remove {
            self.store.announce(&record.id)?;
        }
        record.name = match name {
            Some(name) => {
                let name = name.strip_prefix('/').unwrap_or(&name).to_owned();
                self.claim(&name, &record.id)?;
                name
            }
            None => self.claim_any(&record.id)?,
        };
        // One that goes with its end need not outlive that of the machine.
        let written = self.store.write_record(record, !record.host_config.auto_remove);
        if written.is_err() {
            let _ = self.store.names.release(&record.name, &record.id);
        }
        written
    }

    /// Fills in the hostname, where none is asked for.
    fn name_host(
        &self,
        id: &ContainerId,
        config: &mut ContainerConfig,
        host_config: &HostConfig,
    ) -> Result<(), ContainerError> {
        let mode: NetworkMode = host_config.network_mode.parse()?;
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        match mode {
            NetworkMode::Container(other) => {
                config.hostname = self.find(&other)?.record.config.hostname;
            }
            _ if !config.hostname.is_empty() => {}
            NetworkMode::Host => config.hostname = host(),
            _ if host_config.uts_mode == UtsMode::Host => config.hostname = host(),
            _ => config.hostname = id.short().to_owned(),
        }
        Ok(())
    }
}

/// What the image says of its containers.
fn of_image(image: &Image) -> Result<ContainerConfig, ContainerError> {
    let raw = serde_json::Value::Object(image.config.raw.clone());
    serde_json::from_value(raw)
        .map_err(|source| ContainerError::Damaged { path: format!("image {}", image.id), source })
}

/// What is refused because it is not there in this version, and what could not work.
fn check(
    config: &ContainerConfig,
    host_config: &HostConfig,
    warnings: &mut Vec<String>,
) -> Result<(), ContainerError> {
    command_line(config)?;
    LogOptions::new(&host_config.log_config)?;
    if host_config.restart_policy.name != RestartMode::No {
        return Err(ContainerError::Invalid(
            "restart policies are not there yet: have the service manager of the host start the container again"
                .to_owned(),
        ));
    }
    if let NetworkMode::Named(name) = host_config.network_mode.parse()? {
        return Err(ContainerError::Invalid(format!(
            "network {name} not found: there are bridge, host, none and container:NAME"
        )));
    }
    if config
        .healthcheck
        .as_ref()
        .is_some_and(|check| !check.test.is_empty() && check.test[0] != "NONE")
    {
        warnings.push("health checks are not made yet".to_owned());
    }
    Ok(())
}
