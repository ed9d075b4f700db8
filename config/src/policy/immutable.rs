use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::Glob;

/// Tags that are pushed once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImmutableTags {
    /// In which repositories: `team/**`, or `**` for all.
    pub repositories: Vec<Glob>,
    /// Which tags: `*` for all.
    pub tags: Vec<Glob>,
    /// Which of these are not meant.
    pub except: Vec<Glob>,
}

impl ImmutableTags {
    fn names(&self, tag: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.is_match(tag));
        any(&self.tags) && !any(&self.except)
    }
}

/// A rule of `policy.immutabletags` that applies to a tag, as messages call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedRule(usize);

impl fmt::Display for NamedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy.immutabletags[{}]", self.0)
    }
}

impl Policy {
    /// Whether tags of the repository can be immutable: whether there is anything to ask
    /// [`immutable`](Self::immutable).
    pub fn has_immutable_tags(&self, repository: &str) -> bool {
        self.immutabletags
            .iter()
            .any(|rule| rule.repositories.iter().any(|glob| glob.is_match(repository)))
    }

    /// The first rule that makes the tag immutable.
    pub fn immutable(&self, repository: &str, tag: &str) -> Option<NamedRule> {
        let applies = |rule: &ImmutableTags| {
            rule.names(tag) && rule.repositories.iter().any(|glob| glob.is_match(repository))
        };
        self.immutabletags.iter().position(applies).map(NamedRule)
    }
}
