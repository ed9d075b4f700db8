//! A container in the words of the Engine API: what `inspect` prints.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::engine::Engine;
use super::error::ContainerError;
use super::record::{Container, Status};
use crate::layers::LayerStore;

/// A time that never was, as Go has it.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What docker's users see as the runtime of a container for which they chose none.
const DEFAULT_RUNTIME: &str = "berth";

impl Engine {
    /// All that is known of a container.
    #[must_use]
    pub fn inspect(&self, container: &Container) -> Value {
        let record = &container.record;
        let run = self.store.run(&record.id);
        let data = self.store.data(&record.id);
        let command = record.command();
        let (path, args) =
            command.split_first().map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
        let network =
            container.network().cloned().unwrap_or_else(|| crate::network::EndpointSettings {
                network: record.host_config.network_mode.clone(),
                ..Default::default()
            });
        let mut network = network.to_network_settings();
        if container.pid() > 0 {
            // For `nsenter --net=`: a namespace has no other file.
            network.sandbox_key = format!("/proc/{}/ns/net", container.pid());
        }
        let logs = record.host_config.log_config.kind != "none";
        let mut host_config = record.host_config.clone();
        // What has an effect although nobody chose it.
        for (value, default) in [
            (&mut host_config.runtime, DEFAULT_RUNTIME),
            (&mut host_config.log_config.kind, "json-file"),
        ] {
            if value.is_empty() {
                default.clone_into(value);
            }
        }
        json!({
            "Id": record.id,
            "Created": record.created,
            "Path": path,
            "Args": args,
            "State": state(container),
            "Image": record.image.to_string(),
            "ResolvConfPath": run.join("resolv.conf"),
            "HostnamePath": run.join("hostname"),
            "HostsPath": run.join("hosts"),
            "LogPath": if logs { self.log_path(container) } else { PathBuf::new() },
            "Name": format!("/{}", record.name),
            "RestartCount": 0,
            "Driver": "overlay",
            "Platform": "linux",
            "MountLabel": "",
            "ProcessLabel": "",
            "AppArmorProfile": "",
            "ExecIDs": null,
            "HostConfig": host_config,
            "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": data.join("upper"), "WorkDir": data.join("work"), "MergedDir": run.join("rootfs")}},
            "Mounts": record.mounts.iter().map(crate::spec::MountPoint::inspect).collect::<Vec<_>>(),
            "Config": record.config,
            "NetworkSettings": network,
        })
    }

    /// The bytes that a container has written to its root, and those of the whole of it.
    ///
    /// # Errors
    ///
    /// When a layer of its image is not there.
    pub fn sizes(&self, container: &Container) -> Result<(u64, u64), ContainerError> {
        let written = self.size(container);
        let layers = LayerStore::open(&self.roots)?;
        let sizes = container.record.layers.iter().map(|layer| layers.size(layer));
        let below = sizes.sum::<Result<u64, _>>()?;
        Ok((written, written + below))
    }
}

fn state(container: &Container) -> Value {
    let ended = container.ended.clone().unwrap_or_default();
    let is_running = container.status.is_running();
    let time = |time: Option<Timestamp>| time.map_or(NEVER.to_owned(), |time| time.to_string());
    json!({
        "Status": container.status,
        "Running": is_running,
        "Paused": container.status == Status::Paused,
        "Restarting": false,
        "OOMKilled": !is_running && ended.oom_killed,
        "Dead": false,
        "Pid": container.pid(),
        "ExitCode": if is_running { 0 } else { ended.exit_code },
        "Error": if is_running { String::new() } else { ended.error.clone() },
        "StartedAt": time(container.started_at()),
        "FinishedAt": time(ended.finished_at),
    })
}
