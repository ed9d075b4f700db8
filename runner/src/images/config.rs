//! The configuration of an image: what it runs, and what it is made of.

use std::collections::{BTreeMap, BTreeSet};

use berth_oci::{Digest, Platform};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ImageError;

/// The longest configuration that is read, in bytes.
pub(super) const LONGEST: u64 = 4 << 20;

/// The most layers that an image has: as many as one overlay takes.
pub(super) const MOST_LAYERS: usize = 500;

/// What the configuration of an image says, as the OCI image specification has it.
///
/// Members that are missing or `null` are empty, as docker reads them; members that nobody knows are left
/// alone. [`raw`](Self::raw) has what was written of the part that containers begin with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageConfig {
    /// When it was made, as it is written.
    pub created: Option<String>,
    /// Who made it.
    pub author: String,
    /// The processor it is for, in the words of `GOARCH`.
    pub architecture: String,
    /// The variant of the processor.
    pub variant: Option<String>,
    /// The system it is for.
    pub os: String,
    /// As whom its processes run: `user`, `uid`, `user:group` …
    pub user: String,
    /// The environment, each `NAME=value`.
    pub env: Vec<String>,
    /// What is run, before the arguments.
    pub entrypoint: Option<Vec<String>>,
    /// What is run, or the arguments of what is run.
    pub cmd: Option<Vec<String>>,
    /// Where it is run.
    pub working_dir: String,
    /// Folders that are volumes.
    pub volumes: BTreeSet<String>,
    /// Ports that it listens on, each `80/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to end.
    pub stop_signal: Option<String>,
    /// How to look whether it is well.
    pub healthcheck: Option<Healthcheck>,
    /// The shell of commands that are a text.
    pub shell: Option<Vec<String>>,
    /// The digests of its layers as tar archives, lowest first.
    pub diff_ids: Vec<Digest>,
    /// How it was made, oldest first.
    pub history: Vec<History>,
    /// A word of whoever made it.
    pub comment: String,
    /// The member `config` as it is written.
    pub raw: Map<String, Value>,
}

/// How to look whether a container is well.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` and its arguments, or `CMD-SHELL` and a text.
    #[serde(deserialize_with = "nullable")]
    pub test: Vec<String>,
    /// Nanoseconds between two looks.
    #[serde(deserialize_with = "nullable")]
    pub interval: i64,
    /// Nanoseconds that a look may take.
    #[serde(deserialize_with = "nullable")]
    pub timeout: i64,
    /// Nanoseconds in which a container that begins need not be well.
    #[serde(deserialize_with = "nullable")]
    pub start_period: i64,
    /// Nanoseconds between two looks in that time.
    #[serde(deserialize_with = "nullable")]
    pub start_interval: i64,
    /// How many looks must fail in a row.
    #[serde(deserialize_with = "nullable")]
    pub retries: i64,
}

/// A step in which an image was made.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct History {
    /// When, as it is written.
    pub created: Option<String>,
    /// By what.
    #[serde(deserialize_with = "nullable")]
    pub created_by: String,
    /// A word of whoever did it.
    #[serde(deserialize_with = "nullable")]
    pub comment: String,
    /// Whether it made no layer.
    #[serde(deserialize_with = "nullable")]
    pub empty_layer: bool,
}

/// The file, as it is written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    created: Option<String>,
    #[serde(deserialize_with = "nullable")]
    author: String,
    #[serde(deserialize_with = "nullable")]
    architecture: String,
    variant: Option<String>,
    #[serde(deserialize_with = "nullable")]
    os: String,
    #[serde(deserialize_with = "nullable")]
    comment: String,
    config: Option<Box<RawValue>>,
    rootfs: Option<RootFs>,
    #[serde(deserialize_with = "nullable")]
    history: Vec<History>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RootFs {
    #[serde(deserialize_with = "nullable")]
    diff_ids: Vec<Digest>,
}

/// Its member `config`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Process {
    #[serde(deserialize_with = "nullable")]
    user: String,
    #[serde(deserialize_with = "nullable")]
    env: Vec<String>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    #[serde(deserialize_with = "nullable")]
    working_dir: String,
    #[serde(deserialize_with = "nullable")]
    volumes: BTreeMap<String, Value>,
    #[serde(deserialize_with = "nullable")]
    exposed_ports: BTreeMap<String, Value>,
    #[serde(deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
    stop_signal: Option<String>,
    healthcheck: Option<Healthcheck>,
    shell: Option<Vec<String>>,
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is none, or that of an image with more layers than can be mounted.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let malformed = |error| ImageError::not_an_image("the configuration", error);
        let file: File = serde_json::from_slice(bytes).map_err(malformed)?;
        let raw = file.config.as_deref().map_or("{}", RawValue::get);
        let process: Option<Process> = serde_json::from_str(raw).map_err(malformed)?;
        let process = process.unwrap_or_default();
        let raw: Option<Map<String, Value>> = serde_json::from_str(raw).map_err(malformed)?;
        let diff_ids = file.rootfs.unwrap_or_default().diff_ids;
        if diff_ids.len() > MOST_LAYERS {
            let (size, most) = (diff_ids.len() as u64, MOST_LAYERS as u64);
            return Err(ImageError::TooLarge { what: "the list of layers".into(), size, most });
        }
        Ok(Self {
            created: file.created,
            author: file.author,
            architecture: file.architecture,
            variant: file.variant.filter(|variant| !variant.is_empty()),
            os: file.os,
            user: process.user,
            env: process.env,
            entrypoint: process.entrypoint,
            cmd: process.cmd,
            working_dir: process.working_dir,
            volumes: process.volumes.into_keys().collect(),
            exposed_ports: process.exposed_ports.into_keys().collect(),
            labels: process.labels,
            stop_signal: process.stop_signal.filter(|signal| !signal.is_empty()),
            healthcheck: process.healthcheck,
            shell: process.shell,
            diff_ids,
            history: file.history,
            comment: file.comment,
            raw: raw.unwrap_or_default(),
        })
    }

    /// What it runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            variant: self.variant.clone(),
        }
    }

    /// When it was made, if that can be understood.
    #[must_use]
    pub fn created_at(&self) -> Option<jiff::Timestamp> {
        self.created.as_ref()?.parse().ok()
    }
}

/// A member that may be `null`, as programs in Go write what is empty.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_as_docker_writes_it_is_read() {
        let text = format!(
            r#"{{"architecture":"arm64","variant":"v8","os":"linux","created":"2024-05-01T00:00:00Z",
            "config":{{"Env":["PATH=/bin"],"Entrypoint":null,"Cmd":["sh"],"User":"","WorkingDir":"/srv",
              "Volumes":{{"/data":{{}}}},"ExposedPorts":{{"80/tcp":{{}}}},"Labels":null,"OnBuild":null,
              "StopSignal":"SIGQUIT","Healthcheck":{{"Test":["CMD","true"],"Interval":30000000000}}}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}},
            "history":[{{"created_by":"COPY","empty_layer":true}},{{"created_by":null}}]}}"#,
            "b".repeat(64)
        );
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform().variant.as_deref(), Some("v8"));
        assert_eq!((config.entrypoint, config.cmd), (None, Some(vec!["sh".to_owned()])));
        assert!(config.volumes.contains("/data") && config.exposed_ports.contains("80/tcp"));
        assert_eq!((config.diff_ids.len(), config.history.len()), (1, 2));
        assert_eq!(config.healthcheck.unwrap().interval, 30_000_000_000);
        assert!(config.labels.is_empty() && config.raw.contains_key("OnBuild"));
    }

    #[test]
    fn what_is_missing_is_empty_and_what_is_none_is_refused() {
        for text in ["{}", r#"{"config":null,"rootfs":null,"history":null}"#] {
            assert_eq!(ImageConfig::parse(text.as_bytes()).unwrap(), ImageConfig::default());
        }
        for text in ["", "[]", r#"{"rootfs":{"diff_ids":["sha256:../../etc"]}}"#] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
        let layer = format!(r#""sha256:{}""#, "c".repeat(64));
        let many = vec![layer; MOST_LAYERS + 1].join(",");
        let text = format!(r#"{{"rootfs":{{"diff_ids":[{many}]}}}}"#);
        assert!(matches!(
            ImageConfig::parse(text.as_bytes()),
            Err(ImageError::TooLarge { .. })
        ));
    }
}
