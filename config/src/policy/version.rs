use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A requirement of versions, as Cargo has it: `>=1.2, <3`, `~1.2`, `1.*`. A pre-release fulfils only a requirement that
/// names a pre-release of the same version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRequirement(VersionReq);

impl VersionRequirement {
    /// Whether the version fulfils it.
    pub fn is_match(&self, version: &Version) -> bool {
        self.0.matches(version)
    }
}

impl FromStr for VersionRequirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|error| {
            format!(
                "`{text}` is not a requirement of versions ({error}): write for example `>=1.2, <3`"
            )
        })
    }
}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for VersionRequirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionRequirement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for VersionRequirement {
    fn schema_name() -> Cow<'static, str> {
        "VersionRequirement".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-berth-type": "version requirement" })
    }
}
