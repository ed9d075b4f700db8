//! Globs over names, checked when the configuration is read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A glob that a whole name must match: `*` is any text without a slash, `**` any with, `?` a character, `[a-c]` one of
/// some, `{a,b}` one or the other.
#[derive(Debug, Clone)]
pub struct Glob(GlobMatcher);

impl Glob {
    /// Whether the whole name matches.
    pub fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name)
    }

    /// The glob as it was written.
    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }

    /// Whether every name matches, as far as the spelling tells.
    pub(crate) fn matches_all(&self) -> bool {
        self.as_str() == "**"
    }
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("a glob must not be empty: write `*` for any text".to_owned());
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(|glob| Self(glob.compile_matcher()))
            .map_err(|error| format!("`{text}` is not a glob: {}", error.kind()))
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Glob {}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-berth-type": "glob" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_component_and_two_do_not() {
        for (glob, name, matches) in [
            ("*", "app", true),
            ("*", "team/app", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/web", false),
            ("team/**", "team/app/web", true),
            ("team/**", "team", false),
            ("**", "team/app/web", true),
            ("**/web", "team/app/web", true),
            ("**/web", "web", true),
            ("release-?", "release-1", true),
            ("release-?", "release-10", false),
            ("v[0-9]*", "v1.2.3", true),
            ("v[!0-9]*", "v1.2.3", false),
            ("{dev,test}-*", "test-1", true),
            ("app", "app2", false),
            ("a.b", "axb", false),
            ("*", "Latest", true),
            ("latest", "Latest", false),
        ] {
            assert_eq!(glob.parse::<Glob>().unwrap().is_match(name), matches, "{glob} {name}");
        }
    }

    #[test]
    fn what_is_not_a_glob_is_refused() {
        for text in ["", "[a", "{a", "a}", "[b-a]"] {
            let error = text.parse::<Glob>().unwrap_err();
            assert!(!error.contains('\n') && error.contains("glob"), "{error}");
        }
    }
}
