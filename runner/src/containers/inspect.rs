//! A container in the words of the Engine API: what `inspect` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::engine::Engine;
use super::record::{Container, Status};

/// A time that never was, as Go has it.
const NEVER: &str = "0001-01-01T00:00:00Z";

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
            "LogPath": self.log_path(container),
            "Name": format!("/{}", record.name),
            "RestartCount": 0,
            "Driver": "overlay",
            "Platform": "linux",
            "MountLabel": "",
            "ProcessLabel": "",
            "AppArmorProfile": "",
            "ExecIDs": null,
            "HostConfig": record.host_config,
            "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": data.join("upper"), "WorkDir": data.join("work"), "MergedDir": run.join("rootfs")}},
            "Mounts": record.mounts.iter().map(crate::spec::MountPoint::inspect).collect::<Vec<_>>(),
            "Config": record.config,
            "NetworkSettings": network.to_network_settings(),
        })
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
