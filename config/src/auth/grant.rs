use std::borrow::Cow;

use berth_oci::access::Grant;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A grant as it is written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredGrant(pub Grant);

impl Serialize for DeclaredGrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DeclaredGrant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let grant = text
            .parse()
            .map_err(|error| serde::de::Error::custom(format!("`{text}` grants nothing: {error}")));
        grant.map(Self)
    }
}

impl JsonSchema for DeclaredGrant {
    fn schema_name() -> Cow<'static, str> {
        "Grant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-berth-type": "grant" })
    }
}
