//! The configuration of an image: what it runs, and what it is made of.

use berth_oci::{Digest, Platform};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::error::ImageError;
use crate::spec::ContainerConfig;

/// The longest configuration that is read, in bytes.
pub(super) const LONGEST: u64 = 4 << 20;

/// The most layers that an image has: as many as one overlay takes.
pub(super) const MOST_LAYERS: usize = 500;

/// What the configuration of an image says, as the OCI image specification has it.
///
/// Members that are missing or `null` are empty, as docker reads them; members that nobody knows are left
/// alone.
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
    /// What its containers begin with.
    pub config: ContainerConfig,
    /// The same as it is written.
    pub raw: Map<String, Value>,
    /// The digests of its layers as tar archives, lowest first.
    pub diff_ids: Vec<Digest>,
    /// How it was made, oldest first.
    pub history: Vec<History>,
    /// A word of whoever made it.
    pub comment: String,
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
    #[serde(deserialize_with = "nullable")]
    config: Map<String, Value>,
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

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is none, or that of an image with more layers than can be mounted.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let malformed = |error| ImageError::not_an_image("the configuration", error);
        let file: Map<String, Value> = serde_json::from_slice(bytes).map_err(malformed)?;
        let file: File = serde_json::from_value(file.into()).map_err(malformed)?;
        let raw = file.config;
        let known = raw.iter().filter(|(_, value)| !value.is_null());
        let known: Map<_, _> = known.map(|(key, value)| (key.clone(), value.clone())).collect();
        let config = serde_json::from_value(known.into()).map_err(malformed)?;
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
            config,
            raw,
            diff_ids,
            history: file.history,
            comment: file.comment,
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
            "config":{{"Env":["PATH=/bin"],"Entrypoint":null,"Cmd":["sh"],"User":null,"WorkingDir":"/srv",
              "Volumes":{{"/data":{{}}}},"ExposedPorts":{{"80/tcp":{{}}}},"Labels":null,"OnBuild":null,
              "StopSignal":"SIGQUIT","Healthcheck":{{"Test":["CMD","true"],"Interval":30000000000}}}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}},
            "history":[{{"created_by":"COPY","empty_layer":true}},{{"created_by":null}}]}}"#,
            "b".repeat(64)
        );
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform().variant.as_deref(), Some("v8"));
        assert_eq!((config.diff_ids.len(), config.history.len()), (1, 2));
        assert!(config.raw.contains_key("OnBuild"));
        let config = config.config;
        assert_eq!((config.entrypoint, config.cmd), (None, Some(vec!["sh".to_owned()])));
        assert!(config.volumes.contains_key("/data"));
        assert!(config.exposed_ports.contains_key("80/tcp"));
        assert_eq!(config.healthcheck.unwrap().interval, 30_000_000_000);
        assert!(config.labels.is_empty());
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
        assert!(matches!(ImageConfig::parse(text.as_bytes()), Err(ImageError::TooLarge { .. })));
    }
}
