use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use berth_oci::{RepositoryName, RepositoryPrefix};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ByteSize;

/// How much some repositories may hold together. Pushes beyond it are refused with 403; nothing is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Which repositories: `team` for it and all below it, `*` for all.
    pub repositories: Prefix,
    /// Bytes of all blobs, each counted once however many of the repositories have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteSize>,
    /// How many manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<u64>,
    /// How many tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<u64>,
}

/// A part of the repositories, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(RepositoryPrefix);

impl Prefix {
    /// Whether the repository is a part of it.
    pub fn covers(&self, repository: &RepositoryName) -> bool {
        self.0.covers(repository)
    }

    /// The same, as other crates have it.
    pub fn prefix(&self) -> &RepositoryPrefix {
        &self.0
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = text.parse().map_err(|error| {
            format!("`{text}` names no repositories: write `team` for it and all below it, or `*` for all ({error})")
        });
        prefix.map(Self)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Prefix {
    fn schema_name() -> Cow<'static, str> {
        "RepositoryPrefix".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-berth-type": "repository prefix" })
    }
}
