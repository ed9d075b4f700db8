//! The engine's settings, as far as they are about registries.

use std::collections::BTreeMap;
use std::path::PathBuf;

use berth_client::RegistryUrl;
use serde::{Deserialize, Deserializer};

use super::error::ImageError;
use super::name::HUB;
use crate::engine_file::{EngineFile, Unusable};

/// How registries are reached.
///
/// ```yaml
/// shortnames: docker.io
/// registries:
///   docker.io:
///     mirrors: [https://mirror.example.org]
///   registry.lan:5000:
///     insecure: true
///   registry.example.org:
///     ca: /etc/berth/example.pem
///   localhost:5000:
///     storage: /var/lib/berth/registry
/// ```
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    shortnames: String,
    registries: BTreeMap<String, RegistrySettings>,
    /// Somebody else's part of the file.
    network: Unread,
}

/// What is read elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Unread;

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// How one registry is reached.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// Registries that are asked before it, for pulls.
    #[serde(deserialize_with = "urls")]
    pub mirrors: Vec<RegistryUrl>,
    /// Whether it speaks plain HTTP. Those of this machine do anyway, unless they have an authority.
    pub insecure: bool,
    /// The authorities that its certificate may come from, in PEM.
    pub ca: Option<PathBuf>,
    /// The folder of its storage, where that is on this machine (`storage.filesystem.rootdirectory`): blobs
    /// are taken over from there in place of being read from the registry.
    pub storage: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { shortnames: HUB.to_owned(), registries: BTreeMap::new(), network: Unread }
    }
}

impl Settings {
    /// Reads the file; without one nothing is set.
    ///
    /// # Errors
    /// When it cannot be read, or says something that is not known.
    pub fn read() -> Result<Self, ImageError> {
        let read = EngineFile::of_environment().read(Self::parse);
        read.map_err(|Unusable { path, reason }| ImageError::File { path, reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        yaml_serde::from_str(text).map_err(|error| error.to_string())
    }

    /// The registry that names without one mean.
    #[must_use]
    pub fn short_names(&self) -> &str {
        &self.shortnames
    }

    /// What is set for a registry.
    #[must_use]
    pub fn registry(&self, domain: &str) -> RegistrySettings {
        self.registries.get(domain).cloned().unwrap_or_default()
    }
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RegistryUrl>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let urls = texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom));
    urls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_found_by_the_name_of_the_registry() {
        let text = "registries:\n  docker.io:\n    mirrors: [\"http://127.0.0.1:5000\"]\n  r.lan:5000: {insecure: true}\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(settings.short_names(), "docker.io");
        assert_eq!(settings.registry("docker.io").mirrors[0].to_string(), "http://127.0.0.1:5000");
        assert!(settings.registry("r.lan:5000").insecure);
        assert!(Settings::parse("network: {bridge: b0}").is_ok());
        assert_eq!(settings.registry("other"), RegistrySettings::default());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "registry: {}",
            "registries: {a: {mirror: []}}",
            "registries: {a: {mirrors: [\"ftp://x\"]}}",
        ] {
            assert!(Settings::parse(text).is_err(), "{text}");
        }
        assert_eq!(Settings::parse("\n").unwrap(), Settings::default());
    }
}
