//! What a container is asked to be, and the `config.json` that follows from it.
//!
//! [`ContainerConfig`] and [`HostConfig`] have the shapes of the Docker Engine API, so what is kept of
//! a container is what `inspect` shows and what a client of the API sends. [`parse`] reads the words
//! of the command line into their members. [`HostConfig::settle`] fills in what was left open and
//! refuses what cannot be, in docker's words; [`runtime_spec`] makes of both the configuration of the
//! OCI runtime, with docker's defaults.

pub(crate) mod capabilities;
mod container_config;
mod error;
mod familiar_files;
mod host_config;
mod init;
mod modes;
mod mount;
mod nullable;
pub mod parse;
mod points;
mod runtime;
mod seccomp;
mod settle;
mod user;
mod working_directory;

pub use container_config::{ContainerConfig, Empty, Healthcheck};
pub use error::SpecError;
pub(crate) use error::words;
pub use familiar_files::make_familiar_files;
pub use host_config::{
    DeviceMapping, HostConfig, LogConfig, PortBinding, RestartMode, RestartPolicy, ThrottleDevice,
    Ulimit, WeightDevice,
};
pub use init::place_init;
pub use modes::{CgroupnsMode, IpcMode, PidMode, UsernsMode, UtsMode};
pub use mount::{
    BindOptions, Driver, Mount, MountDetails, MountKind, MountPoint, Propagation, TmpfsOptions,
    VolumeOptions,
};
pub use points::mount_points;
pub use runtime::{
    ContainerFiles, HostFacts, NamespacePaths, SpecInput, command_line, environment, runtime_spec,
};
pub use user::{User, find_user, resolve_user};
pub use working_directory::make_working_directory;
